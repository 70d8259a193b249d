"""The audit as tables a person reads in a terminal."""

from __future__ import annotations

from typing import Any

Table = tuple[str, list[str], list[list[Any]]]
"""A title, a header, and rows; numbers stay numbers."""


def tables(found: dict[str, Any]) -> list[Table]:
    """What `audit.json` holds, in the order in which one asks."""
    students = ordered(found["students"], found["order"])
    told = [_overall(students), _classes(students["shipped"])]
    if students["shipped"]["slices"]:
        told.append(_slices(students))
    if students["shipped"]["agreement"]:
        told += [_agreement(students), _hardness(students["shipped"])]
    if found.get("drops"):
        told.append(_drops(found["drops"]))
    if found.get("corruptions"):
        told.append(_corruptions(found["corruptions"], found["order"]))
    if found.get("out_of_distribution"):
        told.append(_unknown(found["out_of_distribution"], found["order"]))
    if found.get("routing"):
        told.append(_routing(found["routing"]))
    return told


def ordered(figures: dict[str, Any], order: list[str]) -> dict[str, Any]:
    """Figures of models in the order in which the models were made."""
    return {name: figures[name] for name in order if name in figures}


def _percent(share: float | None) -> float | None:
    return None if share is None else 100.0 * share


def _overall(students: dict[str, Any]) -> Table:
    header = ["student", "accuracy %", "kept %", "worst class", "kept there %",
              "calibration error %", "overconfident by %"]  # fmt: skip
    rows = []
    for name, told in students.items():
        worst = told["worst"] or {}
        rows.append([
            name, told["overall"]["student_accuracy"], _percent(told["overall"]["retention"]),
            worst.get("class"), _percent(worst.get("retention")), told["student"]["ece"],
            told["student"]["overconfidence"],
        ])  # fmt: skip
    return "Students, and the file that ships", header, rows


def _classes(told: dict[str, Any]) -> Table:
    header = ["class", "images", "trained on", "accuracy %", "teacher %", "kept %"]
    rows = [
        [row["class"], row["samples"], row["train_count"], row["student_accuracy"],
         row["teacher_accuracy"], _percent(row["retention"])]
        for row in told["classes"]
    ]  # fmt: skip
    return "Classes, of the file that ships", header, rows


def _slices(students: dict[str, Any]) -> Table:
    """Each slice, and what each student keeps there: which step lost it."""
    shipped = students["shipped"]["slices"]
    kept = [f"{name}, kept %" for name in students]
    header = ["slice", "images", "accuracy %", "teacher %", *kept]
    rows = [
        [row["slice"], row["samples"], row["student_accuracy"], row["teacher_accuracy"],
         *(_percent(told["slices"][number]["retention"]) for told in students.values())]
        for number, row in enumerate(shipped)
    ]  # fmt: skip
    return "Slices, of the file that ships", header, rows


_PARTS = {
    "both_right": "both right %",
    "teacher_better": "only teacher right %",
    "student_better": "only student right %",
    "copied_errors": "same error %",
    "different_errors": "different errors %",
}


def _agreement(students: dict[str, Any]) -> Table:
    header = ["student", *_PARTS.values(), "teacher's errors copied %"]
    rows = [
        [name, *(_percent(told["agreement"][part]["share"]) for part in _PARTS),
         _percent(told["agreement"]["copied_error_share"])]
        for name, told in students.items()
    ]  # fmt: skip
    return "Against the teacher", header, rows


def _hardness(told: dict[str, Any]) -> Table:
    header = ["quarter", "teacher's margin", "accuracy %", "teacher %", "kept %"]
    rows = [
        [row["quartile"], f"{row['margin_low']:.2f} to {row['margin_high']:.2f}",
         row["student_accuracy"], row["teacher_accuracy"], _percent(row["retention"])]
        for row in told["hardness"]
    ]  # fmt: skip
    return "From the hardest quarter of the images to the easiest", header, rows


def _drops(drops: list[dict[str, Any]]) -> Table:
    header = ["from", "to", "lost, points", "became wrong", "became right"]
    rows = [
        [row["before"], row["stage"], row["drop"], row["became_wrong"], row["became_right"]]
        for row in drops
    ]
    return "What each step lost", header, rows


def _corruptions(rows: list[dict[str, Any]], order: list[str]) -> Table:
    models = list(ordered(rows[0]["accuracy"], order))
    header = ["corruption", "strength", *(f"{name} %" for name in models)]
    return (
        "On images made worse",
        header,
        [[row["kind"], row["strength"], *(row["accuracy"][name] for name in models)]
         for row in rows],
    )  # fmt: skip


def _unknown(found: dict[str, Any], order: list[str]) -> Table:
    header = ["model", "told apart (AUROC)", "confidence on test", "out of distribution"]
    rows = [
        [name, each["auroc"], each["in_confidence"], each["out_confidence"]]
        for name, each in ordered(found["models"], order).items()
    ]
    return "Images of no class", header, rows


def _routing(found: dict[str, Any]) -> Table:
    header = ["routed %", "accuracy %"]
    rows = [[_percent(row["share_routed"]), row["accuracy"]] for row in found["curve"][::10]]
    chosen = found["test"]
    title = (
        f"Routing to the teacher below a confidence of {found['threshold']:.3f}, chosen on "
        f"validation: on test {100 * chosen['share_routed']:.1f} % routed, "
        f"{chosen['accuracy']:.2f} % right"
    )
    return title, header, rows
