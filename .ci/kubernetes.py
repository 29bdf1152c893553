"""Checks each object of deploy/*.yaml against the schema of its kind, and the pod of deploy/kubernetes.yaml against the program.

The argument is the program.
"""

import pathlib
import re
import subprocess
import sys

import kubernetes_validate
import yaml

DEPLOY = pathlib.Path(__file__).parent.parent / "deploy"


def read(path):
    return list(yaml.safe_load_all(path.read_text()))


def check_schemas():
    version = kubernetes_validate.latest_version()
    for path in sorted(DEPLOY.glob("*.yaml")):
        objects = read(path)
        for found in objects:
            kubernetes_validate.validate(found, version, strict=True)
            print(f"{path.name}: {found['kind']} is valid for Kubernetes {version}")
    # The check is able to fail.
    try:
        kubernetes_validate.validate({**objects[0], "specs": {}}, version, strict=True)
    except kubernetes_validate.ValidationError:
        return
    sys.exit("an unknown field was accepted")


def check_pod(deployment, program):
    """The server accepts the arguments, and the grace period is longer than its stop."""
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    command = [program, *container["args"], "--check"]
    settings = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print(settings, end="")
    phases = ("stop-delay", "drain-timeout")
    seconds = [int(re.search(rf"^{phase}: (\d+)s ", settings, re.MULTILINE)[1]) for phase in phases]
    assert pod["terminationGracePeriodSeconds"] > sum(seconds), "Kubernetes would kill the server while it stops"


def check_labels(objects):
    """The Service and the PodDisruptionBudget select the pods of the Deployment."""
    deployment, service, budget = objects
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        budget["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items(), selector


check_schemas()
objects = read(DEPLOY / "kubernetes.yaml")
check_labels(objects)
check_pod(objects[0], sys.argv[1])
