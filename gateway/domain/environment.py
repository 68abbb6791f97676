"""The environment of a service's script: plain variables, and secrets, whose values no answer ever holds."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, StrictStr

from gateway.domain.names import shown, variable_name
from gateway.domain.part import Part, Text, WithoutNulls

VARIABLE_LIMIT_BYTES = 128 << 10
"""Linux starts no program with a longer `NAME=value`, its NUL included."""


def _fitting(variables: dict[str, str]) -> dict[str, str]:
    for name, value in variables.items():
        if len(f"{name}={value}".encode()) >= VARIABLE_LIMIT_BYTES:
            raise ValueError(f"{shown(name)} is {VARIABLE_LIMIT_BYTES} bytes or more with its value")
    return variables


VariableName = Annotated[StrictStr, AfterValidator(variable_name)]
Variables = Annotated[dict[VariableName, Text], WithoutNulls, AfterValidator(_fitting)]


class Environment(Part):
    variables: Variables = Field(default_factory=dict)
    secrets: Variables = Field(default_factory=dict)

    def keeping(self, secrets: Mapping[str, str]) -> "Environment":
        """With `secrets` for those not mentioned, or empty: clients send back what a GET showed them."""
        mentioned = {name: value for name, value in self.secrets.items() if value or name not in secrets}
        return self.model_copy(update={"secrets": {**secrets, **mentioned}})
