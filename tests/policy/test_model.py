"""Only the one supported model decides; what Casbin would find out at the first question is told when it is read."""

import pytest

from gateway.policy.engine import BadPolicy, Policy
from gateway.policy.model import conjuncts, model_problems
from gateway.policy.rules import read
from gateway.policy.terms import Place
from tests.policy.builders import ALICE, MODEL, access, allowed, bundle, policy

EFFECT = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"


def sentences(text: str) -> list[str]:
    return [str(problem) for problem in model_problems(text, "model.conf")]


def test_the_shipped_model_is_the_supported_one():
    assert sentences(MODEL) == []


def test_the_parts_of_the_matcher_may_stand_in_any_order_and_spacing():
    before, matcher = MODEL.strip().split("m = ")
    turned = before + "m   =   " + "  &&".join(reversed(matcher.split(" && "))).replace("r.sub, ", "r.sub ,")
    assert sentences(turned) == []
    found = read({"model.conf": turned, "a.csv": f"p, {ALICE}, main, self, slack/*, read, , allow"})
    turned_policy = Policy.build(found, (), "1.0")
    assert allowed(turned_policy, access("slack/x"))
    assert not allowed(turned_policy, access("slack/x", "write"))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            EFFECT,
            "!some(where (p.eft == deny))",
            "model.conf:14: `!some(where (p.eft == deny))` is not deny-by-default; write `e = some",
        ),
        (
            EFFECT,
            "some(where (p.eft == allow))",
            "model.conf:14: `some(where (p.eft == allow))` is not deny-by-default",
        ),
        (EFFECT, "priority(p.eft) || deny", "model.conf:14: `priority(p.eft) || deny` is not deny-by-default"),
        ("g = _, _, _", "g = _, _", "model.conf:11: `_, _` is not supported; write `g = _, _, _`"),
        (
            "g = _, _, _",
            "g = _, _, _\ng2 = _, _, (_, _)",
            "model.conf:12: `g2 = _, _, (_, _)` is one definition too many",
        ),
        ("when, eft", "eft", "model.conf:8: `sub, dom, own, obj, act, eft` is not supported"),
        ("r = sub", "r2 = sub", "model.conf:5: `r2` is not the definition of `[request_definition]`"),
        ("[matchers]", "[matcher]", "model.conf: section `[matchers]` is missing"),
        ("[matchers]", "[matcher]", "model.conf:16: section `[matcher]` is not part of the supported model"),
        (
            "[policy_definition]\np = sub, dom, own, obj, act, when, eft\n",
            "",
            "model.conf: section `[policy_definition]` is missing",
        ),
        (
            "p = sub, dom, own, obj, act, when, eft\n",
            "",
            "model.conf:7: section `[policy_definition]` is empty; write `p = sub",
        ),
        ("[matchers]", "[role_definition]\n[matchers]", "model.conf:16: section `[role_definition]` comes twice"),
        (
            "[request_definition]",
            "x = 1\n[request_definition]",
            "model.conf:4: `x = 1` stands before the first section",
        ),
        (" && cond(p.when, r.ctx, p.eft)", "", "model.conf:17: matcher part `cond(p.when, r.ctx, p.eft)` is missing"),
        (
            "domMatch(r.dom",
            "domMatch(r.domain",
            "model.conf:17: matcher part `domMatch(r.domain, p.dom)` is not supported",
        ),
        ("domMatch", "keyMatch", "model.conf:17: matcher part `keyMatch(r.dom, p.dom)` is not supported"),
        ("&& cond", "|| cond", "is not supported; the parts are"),
        ("cond(p.when, r.ctx, p.eft)", "eval(p.when)", "matcher part `eval(p.when)` is not supported"),
        ("cond(p.when, r.ctx, p.eft)", "cond(p.when, r.ctx, p.eft) || true", "is not supported"),
        ("&& cond", "&& domMatch(r.dom, p.dom) && cond", "matcher part `domMatch(r.dom, p.dom)` comes twice"),
        ("cond(p.when, r.ctx, p.eft)", "cond(p.when, r.ctx, p.eft) # all", "is not supported"),
    ],
)
def test_another_model_is_refused_with_its_place(old, new, sentence):
    assert old in MODEL
    found = sentences(MODEL.replace(old, new, 1))
    assert any(sentence in each for each in found), found


def test_an_empty_model_misses_everything():
    assert len(sentences("")) == 5


def test_no_policy_is_built_on_another_model():
    found = bundle("")
    broken = type(found)(model=MODEL.replace(" && !some(where (p.eft == deny))", ""))
    with pytest.raises(BadPolicy) as caught:
        Policy.build(broken, (), "1.0")
    assert caught.value.problems[0].place == Place("model.conf", 14)


def test_a_matcher_is_taken_apart_into_calls():
    assert conjuncts("a(x, y) && b(z)") == (("a", ("x", "y")), ("b", ("z",)))


def test_an_empty_policy_denies_even_the_nameless():
    empty = policy("")
    assert not allowed(empty, access("slack/x"))
    assert not allowed(empty, access("slack/x", subject=""))
