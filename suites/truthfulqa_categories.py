"""TruthfulQA's kinds of questions: a category, and whether a question was chosen to mislead a model.

The official multiple-choice rows do not say so, and the rows for generation do (config `generation` on the
hub), so the two are joined on the question. It only splits results into groups: it is not part of the data's
hash, and a run without it compares with a run that has it.
"""

from collections.abc import Mapping

from harness.errors import DownloadNeeded
from harness.records.models import Json
from suites.official import OfficialDataset, official_rows
from suites.row_suite import DataRow
from suites.settings import SuiteContext, SuiteSettings

GENERATION = OfficialDataset(
    file="truthfulqa/generation.jsonl", hub="truthfulqa/truthful_qa", config="generation", split="validation"
)


class Kind(DataRow):
    """A row for generation."""

    question: str
    category: str
    type: str

    @property
    def id(self) -> str:
        """The question, by which rows are joined."""
        return self.question.strip()


def kinds(given: SuiteSettings, context: SuiteContext) -> Mapping[str, Mapping[str, Json]]:
    """`category` and `type` of each official question, by the question without blanks around it.

    Empty where the folder of official data has no such file, where the questions are a user's own and there
    is no such folder, and where the hub cannot be reached: results are then not split. Raises DataError for
    a row that cannot be used.
    """
    official = SuiteSettings()
    file = GENERATION.place(official, context)
    nowhere = given.data is not None if file is None else not file.is_file()
    if nowhere:
        return {}
    try:
        rows = official_rows(GENERATION, Kind, official, context)
    except DownloadNeeded:
        return {}
    return {row.id: {"category": row.category, "type": row.type} for row in rows}
