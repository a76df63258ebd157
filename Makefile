# The two commands are `make run` and `make test`. Every other target says what it is for in `make help`.
PYTHON ?= python3
EXPERIMENT ?= experiments/full.json
export CHAOS_FLAW := $(or $(FLAW),$(CHAOS_FLAW))
export CHAOS_TIME_SCALE := $(or $(TIME_SCALE),$(CHAOS_TIME_SCALE))
export CHAOS_LOAD_SCALE := $(or $(LOAD_SCALE),$(CHAOS_LOAD_SCALE))
BIN := .venv/bin
TESTBED := PYTHONPATH=tests/cluster $(BIN)/python -m testbed
LONG := $(addprefix tests/e2e/test_,mistakes.py outlived.py endings.py) $(addprefix tests/contract/kube/test_kube_,mirror.py nodes.py evicted.py)
# What runs on a real cluster. The images of the test cluster are made before.
CLUSTER_TESTS := tests/contract/kube $(addprefix tests/cluster/test_,interposed.py load_job.py manifests.py mirror.py platform.py)
# Whole runs inside. Two cores do not suffice: the load comes late, and the verdict is INCONCLUSIVE for that (docs/cluster.md).
CLUSTER_RUNS := $(addprefix tests/cluster/test_,full_run.py killed_job.py lost_node.py outside.py)

.PHONY: help run test test-long check unit contract e2e flaws matrix calibrate aa killtest signaltest outagetest cluster cluster-down cluster-images cluster-packages cluster-runs cluster-suite cluster-test fuzz lock clean set-up set-up-test

help: ## what each target does
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: set-up ## run EXPERIMENT (default: full.json) on a sandbox; FLAW=a,b TIME_SCALE= LOAD_SCALE= vary it
	@$(BIN)/chaos --no-version-check run "$(EXPERIMENT)"

test: set-up-test ## set up and pass the tests
	@$(BIN)/python -m pytest tests/unit tests/contract tests/e2e $(LONG:%=--ignore=%)

test-long: set-up-test ## the tests that would make `make test` longer than ten minutes: mistakes through both commands, runs that are ended or killed, lost nodes
	@$(BIN)/python -m pytest $(LONG)

unit: set-up-test ## the tests that need no server
	@$(BIN)/python -m pytest tests/unit

contract: set-up-test ## adapters and sandbox servers against each other
	@$(BIN)/python -m pytest tests/contract

e2e: set-up-test ## the real commands in subprocesses
	@$(BIN)/python -m pytest tests/e2e

flaws: set-up-test ## the part of the matrix that CI runs: planted flaws and sabotages, each must turn its cell (10 min)
	@$(BIN)/python -m accuracy.matrix --subset ci

matrix: set-up-test ## plant every flaw and do every sabotage; ONLY=a or REPEAT=3 vary it (a minute and a quarter each)
	@$(BIN)/python -m accuracy.matrix $(if $(ONLY),--only $(ONLY)) $(if $(REPEAT),--repeat $(REPEAT))

calibrate: set-up-test ## measure outages of known length with the real load, samplers and judge (4 min)
	@$(BIN)/python -m accuracy.calibrate

aa: set-up-test ## N runs without faults under placebo timelines, and N healthy runs with all faults: false alarms (N=10: 90 min)
	@$(BIN)/python -m accuracy.alarms $(if $(N),--runs $(N))

killtest: set-up-test ## kill N runs with SIGKILL at moments of their lives: is the target clean afterwards? (N=60: 40 min)
	@$(BIN)/python -m accuracy.killing $(if $(N),--kills $(N))

signaltest: set-up-test ## end runs by signals in every phase, under every Python 3.11 to 3.13 that is installed (15 min)
	@$(BIN)/python -m accuracy.signals

outagetest: set-up-test ## take each dependency of a run away from it, refused or a black hole, in three phases (30 min); ONLY=Redis
	@$(BIN)/python -m accuracy.outages $(if $(ONLY),--only "$(ONLY)")

cluster: set-up-test ## a real Kubernetes on this machine, three nodes (needs root, Go and a few packages; 7 min once, then 15 s)
	@$(TESTBED) up

cluster-packages: set-up-test ## install the Debian packages that the cluster needs (as root)
	@$(TESTBED) install

cluster-down: ## end it; binaries and images stay in the user's cache
	@$(TESTBED) down

cluster-test: set-up-test ## the tests that need a cluster: CLUSTER_KUBECONFIG's, else one that is started; CLIENT=35 takes another official client
	@$(if $(CLUSTER_KUBECONFIG),,$(MAKE) --no-print-directory cluster-images)
	@$(if $(CLUSTER_KUBECONFIG),,CLUSTER_MAY_DRAIN=yes $(TESTBED).trial) $(MAKE) --no-print-directory cluster-suite

cluster-runs: set-up-test ## full.json as a Job on three nodes, its pod killed, runs from outside, one with a lost node (25 min; wants a machine with more than two cores)
	@$(if $(CLUSTER_KUBECONFIG),,$(MAKE) --no-print-directory cluster-images)
	@$(if $(CLUSTER_KUBECONFIG),,CLUSTER_MAY_DRAIN=yes $(TESTBED).trial) $(BIN)/python -m pytest -s $(CLUSTER_RUNS)

# Before the cluster starts, for then they are imported once and not in every node.
cluster-images:
	@$(TESTBED) build
	@$(BIN)/python tests/contract/kube/python_image.py load
	@PYTHONPATH=tests/cluster $(BIN)/python -m platform_image load

cluster-suite:
	@$(if $(CLIENT),beside=$$($(BIN)/python tests/contract/kube/other_client.py $(CLIENT)) && PYTHONPATH=$$beside) $(BIN)/python -m pytest $(CLUSTER_TESTS)

fuzz: set-up-test ## the property tests with fresh seeds
	@HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest tests/unit

check: set-up-test ## ruff, mypy and import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONPATH=tests/cluster:experiments/nodes $(BIN)/lint-imports

set-up:
	@$(PYTHON) tools/set_up.py run
	@$(BIN)/python -m sandbox prepare

set-up-test:
	@$(PYTHON) tools/set_up.py test
	@$(BIN)/python -m sandbox prepare

lock: ## write both locks anew (needs uv); they record no download address
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra sandbox pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --all-extras -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## remove what set-up made: .venv, the sandbox's cached data, tool caches (runs stay)
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m sandbox forget; fi
	@rm -rf .venv .venv-3.* .venv-client-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
