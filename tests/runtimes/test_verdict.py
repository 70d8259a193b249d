from __future__ import annotations

from edgedistill.records import LayerParity, Parity
from edgedistill.runtimes.verdict import Evidence, cause, words

RIGHT = (LayerParity("stem", 1, 0.999), LayerParity("logits", 0, 1.0))
STRAYS = (LayerParity("stem", 40, 0.98), LayerParity("logits", 0, 1.0))
MISSED = ("decided alike on 98.80%, 99.50% wanted",)


def apart(agreement: float, steps: float) -> Parity:
    return Parity(agreement, steps / 50, steps / 100, 2 * steps, steps, 0.9)


def test_nothing_missed_and_all_layers_right_is_nothing_to_explain() -> None:
    found = Evidence((), apart(1.0, 0.0), alone=RIGHT)
    assert cause(found) is None
    assert words(found) == ""


def test_a_layer_that_no_kernels_compute_is_the_file_even_where_nothing_was_missed() -> None:
    found = Evidence((), apart(1.0, 0.1), alone=STRAYS, alone_plain=STRAYS)
    assert cause(found) == "the file"
    assert words(found) == (
        "it is the file: given the graph's integers, layer `stem` is up to 40 steps off by the "
        "plainest kernels too (1 of 2 layers)"
    )


def test_a_zero_point_that_is_one_off_is_the_file() -> None:
    moved = (LayerParity("stem", 1, 0.01),)
    assert cause(Evidence((), apart(1.0, 1.0), alone=moved, alone_plain=moved)) == "the file"


def test_a_layer_that_only_the_usual_kernels_miss_is_this_machine() -> None:
    found = Evidence(
        MISSED, apart(0.828, 6.0), apart(1.0, 0.1), apart(0.828, 6.0), 512,
        alone=STRAYS, alone_plain=RIGHT,
    )  # fmt: skip
    assert cause(found) == "this machine's kernels"
    assert "`stem` is up to 40 steps off" in words(found)
    assert "of 512 images, 100.00% decided as by the graph by the runtime's plainest" in words(
        found
    )
    assert cause(Evidence((), apart(1.0, 0.2), alone=STRAYS, alone_plain=RIGHT)) is None


def test_plainest_kernels_that_miss_as_well_do_not_make_right_layers_a_wrong_file() -> None:
    """Integers that add up otherwise, on a net that hardly decides: 98.8 % by either."""
    found = Evidence(
        MISSED, apart(0.988, 0.9), apart(0.986, 0.8), apart(0.99, 0.7), 512, alone=RIGHT,
        others=(("openvino", apart(0.985, 0.8)),),
    )  # fmt: skip
    assert cause(found) == "rounding"
    assert words(found).endswith(
        "between these two 99.00% alike; other runtimes' files: openvino 98.50%"
    )
    further = Evidence(MISSED, apart(0.828, 6.0), apart(0.988, 0.8), images=512, alone=RIGHT)
    assert cause(further) == "this machine's kernels"


def test_a_float_file_is_judged_by_its_values() -> None:
    close, far = Parity(0.99, 1e-5, 1e-6), Parity(0.9, 0.1, 0.01)
    assert cause(Evidence(MISSED, close, close, strays=(False, False))) == "rounding"
    assert cause(Evidence(MISSED, far, close, strays=(True, False))) == "this machine's kernels"
    assert cause(Evidence(MISSED, far, far, strays=(True, True))) == "the file"


def test_where_nothing_is_decided_the_words_tell_differences() -> None:
    none = Parity(None, 0.1, 0.0123)
    assert "1.23% of the range apart" in words(Evidence(MISSED, none, none, strays=(True, True)))
