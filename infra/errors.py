"""Errors of building and deploying, for the person at the terminal: what failed, on what, what to do next."""

from __future__ import annotations

from jobs.runtime.errors import PipelineError


class BuildError(PipelineError):
    """What was asked for cannot be built from this commit."""


class DeployError(PipelineError):
    """A stack that cannot be changed, or whose change has failed."""


class DoctorError(PipelineError):
    """A stack that is not as it has to be."""
