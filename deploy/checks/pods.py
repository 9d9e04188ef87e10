"""Rules for what the chart renders that no schema knows: restricted pods, a drain that fits, names that meet."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]

# What the restricted Pod Security Standard allows.
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
USER = 65532
MARGIN_SECONDS = 5


def problems(documents: list[Document]) -> list[str]:
    """Say what is wrong in a rendered chart, a line each."""
    found = [f"{_name(d)}: {wrong}" for d in documents if "template" in d.get("spec", {}) for wrong in _pod(d)]
    found += [f"{_name(d)}: {wrong}" for d in documents if d["kind"] == "Deployment" for wrong in _service_pod(d)]
    found += [f"{_name(d)}: {wrong}" for d in documents if d["kind"] == "Job" for wrong in _job(d)]
    found += _unmet(documents)
    found += [f"{_name(d)}: the chart makes no Secret" for d in documents if d["kind"] == "Secret"]
    found += [
        f"{_name(d)}: mounts its token"
        for d in documents
        if d["kind"] == "ServiceAccount" and d.get("automountServiceAccountToken") is not False
    ]
    twice = Counter((d["kind"], d["metadata"]["name"]) for d in documents)
    return found + [f"{kind} {name} is rendered twice" for (kind, name), count in twice.items() if count > 1]


def _name(document: Document) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


def _pod(document: Document) -> Iterator[str]:
    pod = document["spec"]["template"]["spec"]
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True or security.get("runAsUser") != USER:
        yield f"does not run as user {USER}"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    for key in ("automountServiceAccountToken", "enableServiceLinks"):
        if pod.get(key) is not False:
            yield f"does not switch off {key}"
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield f"asks for {key}"
    for volume in pod.get("volumes", []):
        if kinds := set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']} is a {', '.join(kinds)}"
    for container in pod["containers"] + pod.get("initContainers", []):
        yield from _container(container)


def _container(container: Document) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "may write to its root file system"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
        yield "lacks requests, or a limit of memory"
    if ":" not in container["image"] or container["image"].endswith(":latest"):
        yield f"image {container['image']} is not pinned"
    names = Counter(variable["name"] for variable in container.get("env", []))
    yield from (f"variable {name} is set twice" for name, count in names.items() if count > 1)


def _service_pod(document: Document) -> Iterator[str]:
    pod = document["spec"]["template"]["spec"]
    container = pod["containers"][0]
    for probe, path in {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}.items():
        if container.get(probe, {}).get("httpGet") != {"path": path, "port": "http"}:
            yield f"{probe} does not ask {path}"
    before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if container["args"] == ["ingest"] and not before:
        yield "takes leave of its load balancer without a pause"
    values = {variable["name"]: variable.get("value", "") for variable in container["env"]}
    drain = int(values["TANDEM_DRAIN_TIMEOUT"].removesuffix("s"))
    if pod["terminationGracePeriodSeconds"] < before + drain + MARGIN_SECONDS:
        yield f"is killed before {before} s of preStop and {drain} s of drain are over"
    if values["TANDEM_PORT"] != str(container["ports"][0]["containerPort"]):
        yield "listens on another port than it says"


def _job(document: Document) -> Iterator[str]:
    spec = document["spec"]
    # A hook runs before the ServiceAccount and anything else of the release is there.
    if "serviceAccountName" in spec["template"]["spec"]:
        yield "uses a ServiceAccount that may not be there yet"
    if "activeDeadlineSeconds" not in spec or "backoffLimit" not in spec:
        yield "may run for ever"
    hook = "helm.sh/hook" in document["metadata"].get("annotations", {})
    if not hook and "ttlSecondsAfterFinished" not in spec:
        yield "is never cleaned up"
    # The Job's name becomes a label of its pods.
    if len(document["metadata"]["name"]) > 63:
        yield "has too long a name"


def _unmet(documents: list[Document]) -> list[str]:
    """Selectors that select nothing, and ports that no container has."""
    templates = [d["spec"]["template"] for d in documents if d["kind"] == "Deployment"]
    unmet = []
    for document in documents:
        spec = document.get("spec", {})
        wanted = spec.get("selector", {})
        wanted = wanted.get("matchLabels", wanted)
        if not wanted:
            continue
        met = [t for t in templates if wanted.items() <= t["metadata"]["labels"].items()]
        if len(met) != 1:
            unmet.append(f"{_name(document)}: selects {len(met)} Deployments")
        elif document["kind"] == "Service":
            ports = {port["name"] for port in met[0]["spec"]["containers"][0]["ports"]}
            unmet += [
                f"{_name(document)}: no port {p['targetPort']}" for p in spec["ports"] if p["targetPort"] not in ports
            ]
    return unmet
