"""What a query gave, as the samples a rule works on."""

from __future__ import annotations

from trackside.exceptions import QueryError
from trackside.model.labels import Labels
from trackside.server.rules.template_functions import TemplateSample
from trackside.server.series import Matrix, QueryResult, Scalar, Text


def vector(result: QueryResult) -> tuple[TemplateSample, ...]:
    """The samples of an instant vector; a scalar is one sample without labels.

    Raises:
        QueryError: a string, or a range of samples.
    """
    match result.value:
        case Matrix() as matrix if not result.is_range:
            present = matrix.present[:, 0].tolist()
            values = matrix.values[:, 0].tolist()
            return tuple(
                TemplateSample(labels, value)
                for labels, value, is_present in zip(matrix.labels, values, present, strict=True)
                if is_present
            )
        case Scalar(_, value):
            return (TemplateSample(Labels(), value),)
    raise QueryError("a rule needs an expression that gives an instant vector or a scalar")


def template_answer(result: QueryResult) -> tuple[TemplateSample, ...]:
    """As `vector`, for the `query` function of templates, which takes strings too."""
    if isinstance(result.value, Text):
        return (TemplateSample(Labels(), 0.0, result.value.value),)
    return vector(result)
