"""Which stages a recipe asks for, with what config, reading what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from edgedistill.artifact import text_digest
from edgedistill.data import fingerprint as data_fingerprint
from edgedistill.data import listing, of_recordings
from edgedistill.data.slices import slices_digest
from edgedistill.devices.machine import instructions, is_machine, machine, precision_of
from edgedistill.distill.teachers.fingerprint import fingerprint as teacher_fingerprint
from edgedistill.errors import UserError
from edgedistill.libraries import libraries
from edgedistill.losses import needs_answers, needs_layers
from edgedistill.models import fingerprint as model_fingerprint
from edgedistill.recipe import Loss, Model, ModelCommon, Recipe, Teacher, Training
from edgedistill.target import Frozen, Target
from edgedistill.tasks import TASKS

T = TypeVar("T", bound=Training)


@dataclass(frozen=True)
class Step:
    """One run of a stage: what it is to do, and the steps whose artifacts it reads."""

    name: str
    stage: str
    config: Frozen
    inputs: dict[str, str]
    """By the name under which the stage looks for them."""
    libraries: frozenset[str] = frozenset()
    """Distributions that the models it trains, asks or rebuilds are made with."""


def steps(recipe: Recipe, target: Target) -> list[Step]:
    """The steps of a compile, in order. A config holds only what its stage depends on, so that
    steps which do not depend on the target are shared between targets."""
    plan = _Plan(recipe, target)
    plan.teaching()
    plan.student()
    plan.files()
    return plan.steps


def numbers_of(recipe: Recipe, target: Target) -> Literal["int8", "fp32"]:
    """Those of the files that ship, as a device computes them."""
    precisions = recipe.stages.export.precisions or target.precisions
    return "int8" if recipe.stages.quantize and "int8" in precisions else "fp32"


def model_steps(recipe: Recipe) -> list[str]:
    """The steps that leave a model of the recipe's, from the teacher to the one that ships."""
    assistants = [assistant_name(number) for number in range(len(recipe.assistants))]
    return ["teacher", *assistants, "distill", *(["prune"] if recipe.stages.prune else [])]


def assistant_name(number: int) -> str:
    """The step's name; number: from 0, nearest to the teacher."""
    return f"assistant{number + 1}"


class _Plan:
    def __init__(self, recipe: Recipe, target: Target) -> None:
        self.recipe, self.target = recipe, target
        self.steps: list[Step] = []
        self.teacher, self.answers, self.judged = "teacher", "teach", "judge"
        """The steps that the next student learns from."""
        self.made_with: dict[str, frozenset[str]] = {}
        """What the models are made with that the steps leave."""
        data = recipe.data
        self.shown: dict[str, Any] = {"augment": data.changes, "workers": data.workers}
        """How a model that is trained sees the samples."""
        self.texts = {"texts": "teacher"} if TASKS[recipe.task].by_texts else {}
        """In a retrieval, where the images' captions lie."""

    def add(self, name: str, config: Frozen, inputs: dict[str, str], stage: str = "") -> None:
        stage = stage or name
        if stage in ("teacher", "distill"):
            self.made_with[name] = libraries(getattr(config, "model", None))
        elif stage in ("prune", "control"):  # what they leave is built as what they read
            self.made_with[name] = self.made_with[inputs["distill"]]
        elif stage == "export":  # what writes its files also runs them in the steps after it
            self.made_with[name] = libraries(config)
        read = [self.made_with.get(each, frozenset()) for each in inputs.values()]
        self.steps.append(Step(name, stage, config, inputs, libraries(config).union(*read)))

    def teaching(self) -> None:
        """The data, the teacher, and each assistant, distilled from the one before."""
        from edgedistill.stages import data, teacher

        recipe = self.recipe
        wanted = recipe.stages
        prepared = data.Config(
            data=recipe.data,
            task=recipe.task,
            embedding=getattr(recipe.teacher, "embedding", None),
            sizes=_further_sizes(recipe),
            fingerprint=data_fingerprint(recipe.data),
        )
        self.add("data", prepared, {})
        training = wanted.teacher.train
        made = teacher.Config(
            model=recipe.teacher,
            fingerprint=teacher_fingerprint(recipe.teacher),
            train=_resolved(training) if training else None,
            losses=wanted.teacher.losses,
            **self.shown,
        )
        self.add("teacher", made, {"data": "data"})
        source: Teacher = recipe.teacher
        for number, assistant in enumerate(recipe.assistants):
            name = assistant_name(number)
            self.asked(source, wanted.distill.learned_from)
            self.distilled(name, assistant)
            self.teacher, self.answers, self.judged = name, f"teach_{name}", f"judge_{name}"
            source = assistant
        later = [stage for stage in (wanted.prune, wanted.quantize) if stage]
        losses = [loss for stage in later for loss in stage.losses]
        self.asked(source, [*wanted.distill.learned_from, *losses])

    def asked(self, source: Teacher, losses: Sequence[Loss]) -> None:
        from edgedistill.stages import judge, teach

        if not self.judges(losses):
            return
        wanted = self.recipe.stages.teach
        config = teach.Config(
            teacher=source,
            fingerprint=teacher_fingerprint(source),
            views=wanted.views,
            batch_size=wanted.batch_size,
            precision=precision_of(wanted.precision),
            keep=wanted.keep,
            top_k=wanted.top_k,
            augment=self.recipe.data.changes,
        )
        inputs = {"data": "data", "teacher": self.teacher, **self.texts}
        self.add(self.answers, config, inputs, "teach")
        if not TASKS[self.recipe.task].audited:
            return
        judging = judge.Config(judge=self.recipe.stages.judge, augment=self.recipe.data.changes)
        self.add(self.judged, judging, {"data": "data", "teach": self.answers}, "judge")

    def distilled(self, name: str, model: Model) -> None:
        from edgedistill.stages import distill

        settings = _resolved(self.recipe.stages.distill)
        training = distill.Config(
            model=model,
            fingerprint=model_fingerprint(model),
            peers=tuple(model_fingerprint(peer) for peer in settings.peers),
            train=settings,
            **self.shown,
        )
        self.add(name, training, self.training_inputs(settings.learned_from), "distill")

    def student(self) -> None:
        """The student, from its first weights to one quantized graph."""
        from edgedistill.stages import prune, quantize

        recipe, wanted = self.recipe, self.recipe.stages
        self.distilled("distill", recipe.student)
        last = {"distill": "distill"}
        if wanted.prune:
            pruning = prune.Config(
                prune=_resolved(wanted.prune),
                round_to=wanted.prune.round_to or self.target.channel_multiple,
                kernel=self.target.known_kernel if wanted.prune.padded_macs else None,
                prices=prune.prices_for(wanted.prune, self.target, numbers_of(recipe, self.target)),
                **self.shown,
            )
            self.add("prune", pruning, self.training_inputs(wanted.prune.losses) | last)
            last = {"prune": "prune"}
        quantizing = quantize.Config(
            quantize=_resolved(wanted.quantize) if wanted.quantize else None,
            scheme=self.target.scheme,
            **self.shown,
        )
        losses = wanted.quantize.losses if wanted.quantize else ()
        self.add("quantize", quantizing, self.training_inputs(losses) | last)

    def files(self) -> None:
        """The files, checked and measured."""
        from edgedistill.stages import benchmark, export, verify

        recipe, target, wanted = self.recipe, self.target, self.recipe.stages
        asked = wanted.export.precisions or target.precisions
        precisions = tuple(each for each in asked if each != "int8" or wanted.quantize)
        if not precisions:
            raise UserError(
                "`stages.quantize` is null, and no other precision than int8 is to be exported",
                "quantize, or add fp32 or fp16 to `stages.export.precisions`",
            )
        models = {name: name for name in model_steps(recipe)}
        processor = text_digest(instructions(machine()))
        exporting = export.Config(
            name=recipe.name,
            runtimes=target.runtimes,
            precisions=precisions,
            io=target.scheme.io,
            processor=processor,
            oldest=wanted.export.oldest,
            **self.integers(precisions),
        )
        inputs = {"data": "data", "quantize": "quantize", **models}
        self.add("export", exporting, inputs)
        inputs = {**inputs, "export": "export", **self.texts}
        verifying = verify.Config(
            verify=wanted.verify,
            models=tuple(models),
            teacher=None if isinstance(recipe.teacher, ModelCommon) else recipe.teacher,
            fingerprint=teacher_fingerprint(recipe.teacher),
            processor=processor,
        )
        self.add("verify", verifying, inputs)
        arrays = recipe.data.arrays is not None and recipe.data.sound is None
        if TASKS[recipe.task].audited and not arrays:
            self.audited({**inputs, "verify": "verify"}, models)
        if TASKS[recipe.task].listens:
            self.listened(inputs, processor)
        measuring = benchmark.Config(
            benchmark=wanted.benchmark, threads=target.threads, machine=text_digest(machine())
        )
        self.add("benchmark", measuring, {"data": "data", "export": "export", **models})

    def integers(self, precisions: tuple[str, ...]) -> dict[str, Any]:
        """How int8 .onnx files are chosen: what the recipe pins, else by measuring where figures of
        this machine are the target's. Then alone a file depends on the machine."""
        asked, target = self.recipe.stages.export.integers, self.target
        if "onnxruntime" not in target.runtimes or "int8" not in precisions or asked != "auto":
            return {} if asked == "auto" else {"integers": asked}
        here = machine()
        if not is_machine(target, here):
            return {}
        return {"integers": "auto", "threads": target.threads, "machine": text_digest(here)}

    def listened(self, inputs: dict[str, str], processor: str) -> None:
        """What is heard in long audio."""
        from edgedistill.stages import listen

        wanted = self.recipe.stages.listen
        limit = wanted.limit(self.recipe.contract.max_false_accepts_per_hour)
        listening = listen.Config(listen=wanted, limit=limit, processor=processor)
        read = {name: inputs[name] for name in ("data", "export")}
        if any(step.name == "audit" for step in self.steps):
            read["audit"] = "audit"
        self.add("listen", listening, read)

    def audited(self, inputs: dict[str, str], models: dict[str, str]) -> None:
        """What the student does beyond its quality; asked of classifiers only."""
        from edgedistill.stages import audit, control

        recipe, wanted = self.recipe, self.recipe.stages
        if wanted.audit.control:
            again = control.Config(train=_resolved(wanted.distill), **self.shown)
            trained = {name: name for name in models if name in ("distill", "prune")}
            self.add("control", again, {"data": "data", **trained})
            inputs = {**inputs, "control": "control"}
        out_of_distribution, slices = wanted.audit.out_of_distribution, wanted.audit.slices
        look = listing if recipe.data.sound is None else of_recordings
        auditing = audit.Config(
            audit=wanted.audit,
            models=tuple(models),
            teacher=recipe.teacher,
            fingerprint=teacher_fingerprint(recipe.teacher),
            out_of_distribution=text_digest(look(out_of_distribution))
            if out_of_distribution
            else "",
            slices=slices_digest(slices) if slices else "",
        )
        self.add("audit", auditing, inputs)

    def judges(self, losses: Sequence[Loss]) -> bool:
        """Whether answers are asked for: to learn from, or to know whom to believe the layers."""
        by_layers = needs_layers(losses) and self.recipe.stages.judge.acts
        return needs_answers(losses) or by_layers

    def training_inputs(self, losses: Sequence[Loss]) -> dict[str, str]:
        """What training on these losses reads."""
        answers = {"teach": self.answers} if self.judges(losses) else {}
        if answers and self.recipe.stages.judge.acts:
            answers["judge"] = self.judged
        layers = {"teacher": self.teacher} if needs_layers(losses) else {}
        return {"data": "data", **answers, **layers, **self.texts}


def _further_sizes(recipe: Recipe) -> tuple[tuple[int, int], ...]:
    """In which a model sees the images, beside the data's own."""
    size = recipe.teacher.image_size
    return () if size in (None, recipe.data.image_size) else (size,)


def _resolved(training: T) -> T:
    """The training with `precision: auto` decided for this machine, so that it is in the key."""
    return training.model_copy(update={"precision": precision_of(training.precision)})
