"""Runs the example on the standard input as its orchestrator would, and prints the task's state.

Airflow and Dagster are not installed where the tests run. The stand-ins below have what the
examples use of them. That of BashOperator treats exit codes and the environment like the class in
Airflow's provider "standard"; an asset of Dagster fails if its function raises an exception.
"""

import os
import subprocess
import sys
import types

tasks = []
warnings = []


class BashOperator:
    def __init__(self, *, task_id, bash_command, env=None, append_env=False, skip_on_exit_code=99):
        self.command = bash_command
        self.env = os.environ | env if append_env and env else env
        self.skip = skip_on_exit_code
        tasks.append(self.execute)

    def execute(self):
        code = subprocess.run(["bash", "-c", self.command], env=self.env).returncode
        if code == self.skip:
            return "skipped"
        return "success" if code == 0 else "failed"


def asset(*, deps):
    def task(function):
        context = types.SimpleNamespace(log=types.SimpleNamespace(warning=warnings.append))

        def execute():
            try:
                function(context)
            except subprocess.CalledProcessError:
                return "failed"
            return "success"

        tasks.append(execute)
        return function

    return task


def module(name, **members):
    sys.modules[name] = types.SimpleNamespace(__path__=[], **members)


for parent in ("airflow", "airflow.providers", "airflow.providers.standard", "airflow.providers.standard.operators"):
    module(parent)
module("airflow.providers.standard.operators.bash", BashOperator=BashOperator)
module("dagster", asset=asset, AssetExecutionContext=None)

exec(sys.stdin.read())
[execute] = tasks
print("\n".join([f"task: {execute()}", *warnings]))
