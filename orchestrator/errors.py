"""Errors say who must act. A system that breaks a criterion is a result, not an error."""

from __future__ import annotations


class OrchestratorError(Exception):
    """Base of all errors that a person has to act on; the text is one clear sentence."""


class PlanError(OrchestratorError):
    """The plan's author must act. Nothing was touched yet. `key` names the place in the file."""

    def __init__(self, key: str, problem: str, fix: str) -> None:
        super().__init__(f"{key}: {problem}; {fix}")
        self.key = key
        self.problem = problem
        self.fix = fix


class RefusedError(OrchestratorError):
    """The run was refused before anything was touched (not steady, out of reach, a machine that lacks something)."""


class PackageError(OrchestratorError):
    """The plan's author or the operator must act: a fault package cannot be imported here, or has no table of kinds."""

    def __init__(self, package: str, problem: str) -> None:
        super().__init__(f"fault package {package} cannot be used here ({problem})")


class TargetError(OrchestratorError):
    """The platform's owner must act: the target did not answer, or answered that it will not."""


class NothingToHitError(TargetError):
    """The role resolves to nothing that the fault could act on."""


class HealFailed(OrchestratorError):  # noqa: N818 - the glossary's word
    """The operator must act now: a fault could not be taken away. `remedy` is the exact manual command."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; to heal it by hand: {remedy}")
        self.what = what
        self.remedy = remedy


class HarnessError(OrchestratorError):
    """We must act: the tool itself could not do its work."""
