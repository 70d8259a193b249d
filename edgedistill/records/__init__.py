"""What one stage leaves for another, and what a user gets: frozen dataclasses, and their files."""

from edgedistill.records.advice import Advice, Advised
from edgedistill.records.audit import AuditRecord
from edgedistill.records.codec import Record, as_json, from_json, read_record
from edgedistill.records.data import DataRecord, Duplicates, Pictures, SoundForm, Twin
from edgedistill.records.export import (
    Executed,
    ExportRecord,
    FileEntry,
    InFloat,
    IntegersChoice,
    Look,
    Transposes,
)
from edgedistill.records.judge import JudgeRecord
from edgedistill.records.listening import ListenRecord
from edgedistill.records.measurements import (
    Accelerator,
    CountRow,
    Counts,
    Figures,
    How,
    LeftOver,
    MeasurementRow,
    MeasurementsRecord,
    OnDevice,
    OperatorRow,
    RunSummary,
    SummaryRow,
)
from edgedistill.records.metrics import AuditMetrics, DataMetrics, StageMetrics
from edgedistill.records.prune import PruneRound
from edgedistill.records.quantize import (
    Fidelity,
    LayerSensitivity,
    Quantization,
    QuantizedLayer,
    QuantizeRecord,
    Technique,
)
from edgedistill.records.report import (
    ContractLine,
    FileRow,
    Quantized,
    ReportRecord,
    StageRow,
    Status,
    Summary,
)
from edgedistill.records.speech import SpeechRecord
from edgedistill.records.study import Run, StudyRecord, Varied
from edgedistill.records.teacher import TeacherRecord, TextsRecord
from edgedistill.records.verify import (
    Cause,
    LayerParity,
    OutputParity,
    Parity,
    ProgramRow,
    VerifyRecord,
    VerifyRow,
)
from edgedistill.records.whole import Machine

__all__ = [
    "Accelerator",
    "Advice",
    "Advised",
    "AuditMetrics",
    "AuditRecord",
    "Cause",
    "ContractLine",
    "CountRow",
    "Counts",
    "DataMetrics",
    "DataRecord",
    "Duplicates",
    "Executed",
    "ExportRecord",
    "Fidelity",
    "Figures",
    "FileEntry",
    "FileRow",
    "How",
    "InFloat", "IntegersChoice",
    "JudgeRecord",
    "LayerParity",
    "LayerSensitivity",
    "LeftOver",
    "ListenRecord",
    "Look",
    "Machine",
    "MeasurementRow",
    "MeasurementsRecord",
    "OnDevice",
    "OperatorRow",
    "OutputParity",
    "Parity",
    "Pictures",
    "ProgramRow",
    "PruneRound",
    "Quantization",
    "QuantizeRecord",
    "Quantized",
    "QuantizedLayer",
    "Record",
    "ReportRecord",
    "Run",
    "RunSummary",
    "SoundForm",
    "SpeechRecord",
    "StageMetrics",
    "StageRow",
    "Status",
    "StudyRecord",
    "Summary",
    "SummaryRow",
    "TeacherRecord",
    "Technique",
    "TextsRecord",
    "Transposes",
    "Twin",
    "Varied",
    "VerifyRecord",
    "VerifyRow",
    "as_json",
    "from_json",
    "read_record",
]  # fmt: skip
