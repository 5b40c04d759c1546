"""Runs the core of the proof on a product with one fault: ``python -m tests.policy.with_fault FIELD…``, the
fields of a ``Fault``.

The fault is put in while its module is loaded; no file is changed. Ends with ``CAUGHT``, ``SURVIVED``, or
``SAYS_NOTHING`` when the fault is no change, or when deciding fails altogether (which anything would notice).
"""

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader

from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.policy.fault import Fault

SURVIVED, CAUGHT, SAYS_NOTHING = 3, 4, 5


class Loader(SourceFileLoader):
    """Loads a module with one text in place of another."""

    def __init__(self, fullname: str, path: str, fault: Fault) -> None:
        super().__init__(fullname, path)
        self.fault = fault

    def get_code(self, fullname):
        source, fault = self.get_data(self.path).decode(), self.fault
        if source.count(fault.text) != 1:
            print(f"`{fault.text}` stands {source.count(fault.text)} times in {fault.file}; say this fault anew")
            sys.exit(SAYS_NOTHING)
        return compile(source.replace(fault.text, fault.instead), self.path, "exec", dont_inherit=True)


class Finder(MetaPathFinder):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.module = f"gateway.policy.{fault.file.removesuffix('.py')}"

    def find_spec(self, fullname, path, target=None):
        spec = PathFinder.find_spec(fullname, path, target) if fullname == self.module else None
        if spec is not None:
            spec.loader = Loader(fullname, spec.origin, self.fault)
        return spec


def run(fault: Fault) -> int:
    sys.meta_path.insert(0, Finder(fault))
    import_module("tests.conftest")
    fixed = settings.get_profile("ci")
    quick = (Phase.explicit, Phase.generate)  # what is found need not be made smaller
    settings.register_profile("faults", fixed, phases=quick, database=None, report_multiple_bugs=False)
    settings.load_profile("faults")
    raised = import_module("tests.policy.worlds").Raised
    module, _, name = fault.by.partition(".")
    proof = getattr(import_module(f"tests.policy.{module}"), name)
    try:
        run_state_machine_as_test(proof) if isinstance(proof, type) else proof()
    except raised:
        print("deciding raises, which anything would notice; say this fault anew")
        return SAYS_NOTHING
    except AssertionError:
        return CAUGHT
    print(f"{fault.by} passes; make it find this fault")
    return SURVIVED


if __name__ == "__main__":
    sys.exit(run(Fault(*sys.argv[1:])))
