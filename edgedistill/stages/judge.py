"""See how good the teacher's answers are, and decide how far each is to be believed."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgedistill.artifact import Artifact, write_json
from edgedistill.data import open_split
from edgedistill.distill.label_filter import LabelFilter, LabelUse, label_uses
from edgedistill.distill.store import open_answers
from edgedistill.errors import UserError
from edgedistill.recipe import JudgeConfig
from edgedistill.records import DataRecord
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.tasks import calibration, judgement


class Config(Frozen):
    judge: JudgeConfig


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> dict[str, Any]:
    split = open_split(inputs["data"].path, "train")
    classes = DataRecord.read(inputs["data"]).classes
    answers = open_answers(inputs["teach"].path)
    everyone = np.arange(len(split))
    known = split.labels >= 0
    codes = []
    for view in range(answers.views):
        logits, agreement = answers(everyone, view), answers.agreement(everyone, view)
        codes.append(label_uses(config.judge, logits, agreement, split.labels))
        if view == 0:
            found = judgement.teacher_errors(
                logits[known],
                split.labels[known],
                classes,
                agreement[known].astype(np.float64),
            )
            found["confidence"] = judgement.confidence_histogram(logits)
    calibrated = _calibration(inputs)
    if config.judge.calibrate and calibrated is None:
        raise UserError(
            "`stages.judge.calibrate` fits a temperature to the teacher's answers to the "
            "validation images, and the stored ones lack some of these",
            "put them into the file of `teacher.path`, or leave `calibrate` out",
        )
    temperature = calibrated["temperature"] if config.judge.calibrate and calibrated else 1.0
    judged = LabelFilter(np.stack(codes), config.judge.weight, temperature)
    judged.save(context.scratch)
    handled = {
        doubt.name.lower(): int((judged.codes == doubt).sum()) for doubt in LabelUse if doubt
    }
    write_json(
        context.scratch / "judge.json",
        {"errors": found, "calibration": calibrated, "handled": handled},
    )
    _say(found, calibrated, handled, judged.codes.size, context)
    return {
        "wrong_share": found["wrong"]["share"],
        "unsure_share": found["unsure"]["share"],
        "handled": handled,
        "temperature": temperature,
        "calibration": calibrated,
    }


def _calibration(inputs: dict[str, Artifact]) -> dict[str, Any] | None:
    """The temperature that fits the teacher's answers to the validation labels, and its expected
    calibration error (percent) before and after; None where it was not asked about them."""
    path = inputs["teach"].file("validation.npy")
    if not path.exists():
        return None
    logits, labels = np.load(path), open_split(inputs["data"].path, "validation").labels
    temperature = calibration.fit_temperature(logits, labels)
    before = calibration.summary(logits, labels)
    after = calibration.summary(logits, labels, temperature)
    return {
        "temperature": temperature,
        "before": before["ece"],
        "after": after["ece"],
    }


def _say(
    found: dict[str, Any],
    calibrated: dict[str, Any] | None,
    handled: dict[str, int],
    answers: int,
    context: Context,
) -> None:
    parts = [f"the teacher is wrong on {found['wrong']['share']:.1%} of the training images",
             f"unsure on {found['unsure']['share']:.1%}"]  # fmt: skip
    if calibrated:
        parts.append(
            f"its calibration error on validation is {calibrated['before']:.1f} %, "
            f"{calibrated['after']:.1f} % at temperature {calibrated['temperature']:.2f}"
        )
    acted = ", ".join(f"{name} {count / answers:.1%}" for name, count in handled.items() if count)
    context.reporter.say(f"judge: {', '.join(parts)}; answers {acted or 'all kept'}")
