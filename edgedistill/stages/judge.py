"""See how good the teacher's answers are, and decide how far each is to be believed."""

from __future__ import annotations

import numpy as np

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.data import View, open_split
from edgedistill.distill.label_filter import Floats, Ids, LabelFilter, LabelUse, label_uses
from edgedistill.distill.labelling import held_against
from edgedistill.distill.store import open_answers
from edgedistill.errors import UserError
from edgedistill.predict import task_of
from edgedistill.recipe import Changes, JudgeConfig
from edgedistill.records import DataRecord, JudgeRecord, as_json
from edgedistill.records.judge import TeacherCalibration
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.tasks import audit, calibration


class Config(Frozen):
    """What the filter depends on."""

    judge: JudgeConfig
    augment: Changes
    """What the teacher saw."""


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves the label filter, `label_uses.npy` and `label_uses.json`, and `judge.json`."""
    split = open_split(inputs["data"].path, "train")
    classes = DataRecord.read(inputs["data"]).classes
    answers = open_answers(inputs["teach"].path)
    everyone = np.arange(len(split))

    def view(number: int) -> tuple[Floats, Floats, Ids]:
        logits = answers(everyone, number)
        look = View(config.augment, context.seed, number)
        labels = held_against(split, look, logits, task_of(inputs).labels)
        return logits, answers.agreement(everyone, number), labels

    codes = np.stack([label_uses(config.judge, *view(each)) for each in range(answers.views)])
    logits, agreement, labels = view(0)
    errors = audit.teacher_errors(logits, labels, classes, agreement.astype(np.float64))
    calibrated = _calibration(inputs)
    temperature = _temperature(config.judge, calibrated)
    LabelFilter(codes, config.judge.weight, temperature).save(context.scratch)
    handled = {use.name.lower(): int((codes == use).sum()) for use in LabelUse if use}
    record = JudgeRecord(errors, calibrated, handled)
    record.write(context.scratch)
    _say(record, codes.size, context)
    return {
        "wrong_share": errors.wrong.share,
        "unsure_share": errors.unsure.share,
        "handled": handled,
        "temperature": temperature,
        "calibration": as_json(calibrated) if calibrated else None,
    }


def _calibration(inputs: dict[str, Artifact]) -> TeacherCalibration | None:
    """None where the teacher was not asked about the validation images."""
    path = inputs["teach"].file("validation.npy")
    if not path.exists():
        return None
    logits, labels = np.load(path), open_split(inputs["data"].path, "validation").labels
    temperature = calibration.fit_temperature(logits, labels)
    before = calibration.summary(logits, labels)
    after = calibration.summary(logits, labels, temperature)
    return TeacherCalibration(temperature, before.ece, after.ece)


def _temperature(wanted: JudgeConfig, calibrated: TeacherCalibration | None) -> float:
    """What the answers are divided by. Raises UserError: it cannot be fitted."""
    if not wanted.calibrate:
        return 1.0
    if calibrated is None:
        raise UserError(
            "`stages.judge.calibrate` fits a temperature to the teacher's answers to the "
            "validation samples, and the stored ones lack some of these",
            "put them into the file of `teacher.path`, or leave `calibrate` out",
        )
    return calibrated.temperature


def _say(record: JudgeRecord, answers: int, context: Context) -> None:
    errors, calibrated = record.errors, record.calibration
    parts = [f"the teacher is wrong on {errors.wrong.share:.1%} of the training samples",
             f"unsure on {errors.unsure.share:.1%}"]  # fmt: skip
    if calibrated:
        parts.append(
            f"its calibration error on validation is {calibrated.before:.1f} %, "
            f"{calibrated.after:.1f} % at temperature {calibrated.temperature:.2f}"
        )
    acted = ", ".join(
        f"{name} {count / answers:.1%}" for name, count in record.handled.items() if count
    )
    context.reporter.say(f"judge: {', '.join(parts)}; answers {acted or 'all kept'}")
