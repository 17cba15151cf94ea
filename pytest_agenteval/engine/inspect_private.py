"""Private API of Inspect that we cannot do without: the only file that may import it.

When a new version of Inspect breaks the plugin, it breaks here. The reason for each name is given where it is used. The
tests in `tests/compat` and `tests/docker` cover the behaviour that we rely on.
"""

from __future__ import annotations

from inspect_ai._eval.task import run
from inspect_ai._eval.task.generate import task_generate
from inspect_ai._eval.task.sandbox import read_sandboxenv_file, resolve_sample_files
from inspect_ai._eval.task.util import task_run_dir
from inspect_ai._util.asyncfiles import AsyncFilesystem
from inspect_ai._util.error import EvalError, PrerequisiteError
from inspect_ai._util.exception import TerminateSampleError
from inspect_ai._util.file import filesystem, local_path
from inspect_ai._util.http import is_retryable_http_status
from inspect_ai._util.json import to_json_safe
from inspect_ai._util.notgiven import NOT_GIVEN
from inspect_ai._util.path import chdir_python
from inspect_ai._util.registry import (
    has_registry_params,
    is_registry_object,
    registry_find,
    registry_info,
    registry_lookup,
    registry_params,
    registry_unqualified_name,
)
from inspect_ai._util.retry import report_http_retry
from inspect_ai.agent._bridge._errors import PROVIDER_ERROR_KEY
from inspect_ai.agent._bridge.sandbox import service
from inspect_ai.approval._apply import init_tool_approval
from inspect_ai.log._condense import SampleSerializationError, condense_sample, is_log_serializable
from inspect_ai.log._log import EvalStatus
from inspect_ai.log._recorders.create import _recorders as recorders
from inspect_ai.log._recorders.eval import EvalRecorder, ZipLogFile
from inspect_ai.log._recorders.eval import _journal_summary_path as journal_summary_path
from inspect_ai.log._recorders.eval import _read_all_summaries as read_all_summaries
from inspect_ai.log._recorders.eval import _sample_filename as sample_filename
from inspect_ai.log._samples import ActiveSample, active_samples, sample_active
from inspect_ai.log._samples import _active_model_event as active_model_event
from inspect_ai.model import _call_tools as call_tools
from inspect_ai.model._generate_config import active_generate_config, set_active_generate_config
from inspect_ai.model._model import active_model_context_var, init_model_roles, model_roles
from inspect_ai.scorer._score import init_scoring_context
from inspect_ai.scorer._scorer import scorer_metrics, unique_scorer_name
from inspect_ai.solver._task_state import sample_state, set_sample_state
from inspect_ai.tool._sandbox_tools_utils.sandbox import SandboxInjectionError, sandbox_with_injected_tools
from inspect_ai.util._display import init_display_type
from inspect_ai.util._sandbox.context import (
    cleanup_sandbox_environments_sample,
    copy_sandbox_environment_files,
    init_sandbox_environments_sample,
    sandbox_environments_context_var,
    setup_sandbox_environment,
)
from inspect_ai.util._sandbox.docker.internal import is_internal_image
from inspect_ai.util._sandbox.local import LocalSandboxEnvironment
from inspect_ai.util._sandbox.registry import registry_find_sandboxenv
from inspect_ai.util._store import init_subtask_store
from inspect_ai.util._subprocess import max_subprocesses_context_var

__all__ = [
    "NOT_GIVEN", "PROVIDER_ERROR_KEY", "ActiveSample", "AsyncFilesystem", "EvalError", "EvalRecorder", "EvalStatus",
    "LocalSandboxEnvironment", "PrerequisiteError", "SampleSerializationError", "SandboxInjectionError",
    "TerminateSampleError", "ZipLogFile", "active_generate_config", "active_model_context_var", "active_model_event",
    "active_samples", "call_tools", "chdir_python", "cleanup_sandbox_environments_sample", "condense_sample",
    "copy_sandbox_environment_files", "filesystem", "has_registry_params", "init_display_type", "init_model_roles",
    "init_sandbox_environments_sample", "init_scoring_context", "init_subtask_store", "init_tool_approval",
    "is_internal_image", "is_log_serializable", "is_registry_object", "is_retryable_http_status",
    "journal_summary_path", "local_path", "max_subprocesses_context_var", "model_roles", "read_all_summaries",
    "read_sandboxenv_file", "recorders", "registry_find", "registry_find_sandboxenv", "registry_info",
    "registry_lookup", "registry_params", "registry_unqualified_name", "report_http_retry", "resolve_sample_files",
    "run", "sample_active", "sample_filename", "sample_state", "sandbox_environments_context_var",
    "sandbox_with_injected_tools", "scorer_metrics", "service", "set_active_generate_config", "set_sample_state",
    "setup_sandbox_environment", "task_generate", "task_run_dir", "to_json_safe", "unique_scorer_name",
]  # fmt: skip
