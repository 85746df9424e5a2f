"""What each flow here is to Prefect: a flow that refuses a wrong parameter in one line, and notes how its runs end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Flow
from prefect.exceptions import ParameterTypeError

from flows.session import note_failure, note_success
from pipeline.errors import UsageError

P = ParamSpec("P")
R = TypeVar("R")


class BatchFlow(Flow[P, R]):
    """A flow whose parameters are checked before anything else is done."""

    def validate_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters, as the types that the function asks for.

        Raises:
            UsageError: when one of them cannot be used.
        """
        try:
            return super().validate_parameters(parameters)
        except ParameterTypeError as error:
            said = [line.strip().removeprefix("- ") for line in str(error).splitlines()]
            msg = f"flow {self.name} cannot use {'; '.join(said[1:] or said)}; its deployment's page tells what each parameter takes"
            raise UsageError(msg) from None


def batch_flow(**options: Any) -> Callable[[Callable[P, R]], BatchFlow[P, R]]:
    """Make a function a flow; the options are those of `prefect.flow`."""
    outcomes = {"on_completion": [note_success], "on_failure": [note_failure], "on_crashed": [note_failure]}
    return lambda function: BatchFlow(function, **options, **outcomes)
