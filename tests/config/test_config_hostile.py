"""A file that is made to do harm: told what is wrong with it, at a bounded price."""

from __future__ import annotations

import tracemalloc

import pytest
from harness.fuzz import budget
from hypothesis import given
from hypothesis import strategies as st

from warmer import config
from warmer.config.faults import MOST
from warmer.errors import ConfigError

MOST_BYTES = 50_000_000
"""Of memory, for 100 kB of the worst text; PyYAML keeps some 500 bytes of each value."""
WIDE = b"".join(b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 30))

HARMFUL = {
    "lists in lists": b"[" * (1 << 18),
    "mappings in mappings": b"{" * (1 << 18),
    "keys of keys": b"? " * (1 << 17),
    "blocks in blocks": b"- " * (1 << 17),
    "an input within an input": b"models: [{model: a/b, input: " + b"{a: " * 50 + b"1" + b"}" * 50 + b"}]",
    "a billion laughs": b"a0: &a0 [x, x]\n" + WIDE,
    "a tower of aliases": b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [*a%d]\n" % (n, n, n - 1) for n in range(1, 200)),
    "an alias to itself": b"models: &a [*a]",
    "an alias many times": b"a: &a 1\nmodels: [" + b"*a," * 20_000 + b"]",
    "a number of 100,000 digits": b"models: " + b"9" * 100_000,
    "a number that is huge when written out": b"models: [{model: a/b, price: {per_second: 1e999999999}}]",
    "a fraction of 100,000 digits": b"models: [{model: a/b, price: {per_second: 0." + b"0" * 9_000 + b"1}}]",
    "a duration of 100,000 letters": b"models: [{model: a/b, every: '" + b"1h" * 50_000 + b"'}]",
    "hours of 100,000 letters": b"models: [{model: a/b, hours: '" + b"Mo-Fr 08:00-20:00; " * 5_000 + b"'}]",
    "a name of 100,000 letters": b"models: [{model: a/" + b"b" * 100_000 + b"}]",
    "two thousand unknown keys": b"models: [{model: a/b}]\n" + b"".join(b"k%d: 1\n" % n for n in range(2_000)),
    "5,000 unknown keys": b"models: [{model: a/b}]\n" + b"".join(b"k%d: 1\n" % n for n in range(5_000)),
    "5,000 keys that are almost one of ours": b"".join(b"timezon%d: 1\n" % n for n in range(5_000)),
    "4,000 times the same model": b"models:\n" + b"- {model: a/b}\n" * 4_000,
    "5,000 tokens": b"models: [{model: a/b}]\n#" + b" r8_abcdefghijklmnop" * 5_000,
    "9,000 tags": b"models:\n" + b"- !x a\n" * 9_000,
    "one key two thousand times": b"models: [{model: a/b}]\n" + b"timezone: UTC\n" * 2_000,
    "a quote without end": b'"' + b"x" * 100_000,
    "tabs": b"models:\n\t- model: a/b\n",
    "NUL": b"models: [{model: a/b}]\n\x00",
    "a byte order mark": b"\xef\xbb\xbfmodels: [{model: a/b}]",
    "UTF-16": "models: [{model: a/b}]".encode("utf-16"),
    "no UTF-8": b"models: [{model: a/\xff}]",
    "overlong UTF-8": b"models: [{model: a/\xc0\xaf}]",
    "half a surrogate pair": b'models: [{model: "a/\\ud800"}]',
    "a tag that makes objects": b"models: !!python/object/apply:os.system ['true']",
    "a merge of a bomb": b"a: &a [x]\nmodels: [{<<: *a, model: a/b}]",
    "a directive": b"%YAML " + b"1" * 100_000 + b".1\n---\nmodels: []",
    "25,000 documents": b"---\n" * 25_000,
}


@pytest.mark.parametrize("name", HARMFUL)
def test_what_is_made_to_do_harm_is_refused_with_a_place_and_little_memory(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError) as caught:
            config.parse(HARMFUL[name], path="warmer.yaml")
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    assert len(caught.value.faults) <= MOST + 1
    for fault in caught.value.faults:
        assert fault.line >= 1
        assert fault.column >= 1
        assert len(str(fault)) < 1000


scalars = st.sampled_from(
    (
        *("a/b", "30s", "1h", "-1s", "24/7", "Mo-Fr 08:00-20:00", "PH off", "22:00-06:00", "0", "-0", "1e9", ".inf"),
        *("~", "true", "off", "aware", "floor", "adaptive", "observe", "fixed", "env:A", "file:/x", "Mars", "shared"),
        *("UTC", "Europe/Berlin", "DE", "sqlite:////x", "postgresql://u:p@h/d", "127.0.0.1:0", "[::1]:99999", "auto"),
        *("0.5", "'", '"', "&x", "*x", "!t", "|", ">", "\u00e9", "\\", "999999999d", "0.1%", "gpu-t4", "official"),
        "r8_abcdefghijklmnop",
    )
)
known = st.sampled_from(
    (
        *("models", "model", "deployment", "name", "hours", "every", "policy", "lead", "input", "price", "hardware"),
        *("budget", "daily", "monthly", "defaults", "replicate", "token", "base_url", "creates_per_minute", "timezone"),
        *("public_url", "admin_token", "alerts", "to", "ping"),
        *("country", "ledger", "ledger_password", "listen", "engine", "prices", "billing", "deadline", "traffic"),
        *(
            "instances",
            "shadow",
            "cold_target",
            "cold_start_price",
            "self_host",
            "per_hour",
            "per_second",
            "per_output",
        ),
    )
)
trees = st.recursive(
    scalars, lambda within: st.lists(within, max_size=3) | st.dictionaries(known, within, max_size=4), max_leaves=15
)


def flow(tree: object) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {flow(value)}" for key, value in tree.items()) + "}"
    return "[" + ", ".join(map(flow, tree)) + "]" if isinstance(tree, list) else str(tree)


@budget(600)
@given(st.dictionaries(known, trees, max_size=4), st.lists(st.dictionaries(known, trees, max_size=5), max_size=3))
def test_any_tree_of_our_own_keys_is_a_spec_or_faults_with_a_place(
    top: dict[str, object], models: list[object]
) -> None:
    text = "".join(f"{key}: {flow(value)}\n" for key, value in top.items() if key != "models")
    text += f"models: {flow([{'model': 'a/b'} | model for model in models])}\n"  # type: ignore[dict-item, operator]
    try:
        spec = config.parse(text.encode(), path="/nowhere/warmer.yaml")
    except ConfigError as error:
        assert all(1 <= fault.line <= text.count("\n") + 1 and fault.column >= 1 for fault in error.faults)
        assert "abcdefghijklmnop" not in str(error)
    else:
        again = config.parse(config.dump(config.show(spec)).encode(), path="/nowhere/warmer.yaml")
        assert [model.name for model in again.models] == [model.name for model in spec.models]
