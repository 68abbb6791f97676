# Every target sets up by itself what it needs; Python 3.11 or newer and make are enough. PYTHON=... picks the interpreter.

PHOTO := examples/grayscale/photo.jpg
# Example services run as processes here: their python3 is the one that has their tools.
PROCESS_PATH := $(CURDIR)/.venv-examples/bin:/usr/local/bin:/usr/bin:/bin

# What Python made of our code is kept: the tests start it anew a hundred times.
export PYTHONDONTWRITEBYTECODE :=
# One more than there are cores: tests wait, too.
WORKERS = $(shell expr 1 + $$(getconf _NPROCESSORS_ONLN))

.PHONY: demo run test compiled test-compiled test-services test-cluster cluster-demo chaos chaos-services check bench lock clean

demo: .venv/product .venv-examples/complete $(PHOTO)
	@PROCESS_PATH=$(PROCESS_PATH) .venv/bin/python -u -m examples.demo

run: .venv/product .venv-examples/complete $(PHOTO)
	@PROCESS_PATH=$(PROCESS_PATH) exec .venv/bin/python -m gateway

test: .venv/dev $(PHOTO)
	@.venv/bin/pytest -q -n $(WORKERS) --dist worksteal -m "not kill and not services and not cluster"

# What takes real servers beside the gateway: they are installed or built once, started and ended. As root. What fails among real
# servers on a busy machine is tried once more, alone; what fails twice has failed.
AGAIN = || { echo "== once more, what failed:" && $(1) --last-failed --last-failed-no-failures none; }
SERVICES = scripts/with-engine .venv/bin/pytest -q -m "services and not cluster and not kill"
test-services: .venv/dev
	@scripts/servers
	@$(SERVICES) $(call AGAIN,$(SERVICES))

# The demo on a real single-node Kubernetes with Knative, RabbitMQ, PostgreSQL and MinIO. As root.
EXAMPLE_IMAGES = $(foreach name,cowsay grayscale text-to-speech,dev.local/$(name):1 examples/$(name) requirements-examples.lock)
cluster-demo: .venv/dev $(PHOTO)
	@scripts/servers --cluster
	@EXAMPLE_IMAGES="$(EXAMPLE_IMAGES)" scripts/with-engine scripts/with-cluster .venv/bin/python -u -m examples.demo --cluster

# The services tests that take a real single-node Kubernetes with Knative.
CLUSTER = scripts/with-engine scripts/with-cluster .venv/bin/pytest -q -m cluster
test-cluster: .venv/dev
	@scripts/servers --cluster
	@$(CLUSTER) $(call AGAIN,$(CLUSTER))

# The same gateway, killed again and again.
chaos: .venv/dev
	@.venv/bin/pytest -q -n auto --dist load -m "kill and not services"

# Real servers killed again and again, for longer than anybody waits for a change's proof.
chaos-services: .venv/dev
	@scripts/servers
	@.venv/bin/pytest -q -m "kill and services"

check: .venv/dev
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

# A copy of the project in build/compiled, in which what every call runs through is compiled, as it is in the image. Takes a C
# compiler and Python's headers.
compiled: .venv/dev $(PHOTO)
	@.venv/bin/python scripts/compile build/compiled

test-compiled: compiled
	@cd build/compiled && ../../.venv/bin/pytest -q -n $(WORKERS) --dist worksteal -m "not kill and not services and not cluster"

# All, or those named: make bench NAMES="passing together"
bench: compiled
	@cd build/compiled && ../../.venv/bin/python -m benchmarks $(NAMES)

# Newest versions that fit; dev and examples agree with the product's.
LOCK = build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --upgrade
lock: .venv/product
	@.venv/bin/python -m venv build/uv
	@build/uv/bin/pip install --quiet --disable-pip-version-check uv
	@$(LOCK) pyproject.toml -o requirements.lock
	@$(LOCK) pyproject.toml --group compile -c requirements.lock -o requirements-compile.lock
	@$(LOCK) --group examples -c requirements.lock -o requirements-examples.lock
	@$(LOCK) pyproject.toml --group dev --group examples -c requirements.lock -c requirements-compile.lock -c requirements-examples.lock -o requirements-dev.lock

clean:
	rm -rf .venv .venv-examples build dist demo-results $(PHOTO)
	find . -name __pycache__ -prune -exec rm -rf {} +

# One after the other under make -j too: two installations would fight over the package manager.

.venv/product: requirements.lock scripts/venv
	@scripts/venv .venv requirements.lock
	@touch $@

.venv/dev: requirements-dev.lock .venv/product
	@scripts/venv .venv requirements-dev.lock
	@touch $@

.venv-examples/complete: requirements-examples.lock scripts/venv | .venv/product
	@scripts/venv .venv-examples requirements-examples.lock
	@touch $@

$(PHOTO): examples/grayscale/photo.lock examples/grayscale/take_photo.py | .venv/product
	@.venv/bin/python examples/grayscale/take_photo.py examples/grayscale/photo.lock $@
