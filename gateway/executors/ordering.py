"""From a service and an occasion to a run: what both roles that run scripts have to put together."""

from dataclasses import replace

from gateway.domain.definition import Service
from gateway.executors.protocol import Executor, Run
from gateway.staging.environment import Occasion, script_environment
from gateway.staging.workspace import Workspace


def order_run(
    executor: Executor,
    service: Service,
    workspace: Workspace,
    occasion: Occasion,
    *,
    run_id: str,
    limit_s: float,
    tied: bool,
) -> Run:
    """The run of a prepared workspace. The occasion's `input_file` is a name in its input folder."""
    view = executor.view(workspace.root)
    environment = script_environment(
        service,
        replace(occasion, input_file=f"{view.input_dir}/{occasion.input_file}"),
        input_dir=view.input_dir,
        output_dir=view.output_dir,
        place=view.variables,
    )
    return Run(
        id=run_id,
        image=service.image,
        workspace=workspace.root,
        environment=environment,
        limit_s=limit_s,
        memory_bytes=service.memory_bytes,
        cpu_cores=service.cpu_cores,
        gpu=service.enable_gpu,
        tied=tied,
    )
