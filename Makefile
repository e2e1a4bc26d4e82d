# Two commands set everything up on a machine with only Python >= 3.11 and make:
#   make demo    the e-mail outbox, delivered on both engines
#   make test    the whole suite

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test test-acl test-faulty check mutants model interleave crashpoints format chaos chaos-short chaos-sabotage recovery bench bench-quick
help: ## Show what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo,cli]'
	@touch $@

$(VENV)/.dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo ## Deliver the e-mail outbox on both engines, on the embedded server
	$(BIN)/homing demo

test: $(VENV)/.dev ## Run the whole suite (under 5 minutes on 2 cores)
	$(BIN)/python -m pytest -n 3 --dist loadgroup

test-acl: $(VENV)/.dev ## The whole suite as a user with no more rights than `homing acl` grants
	HOMING_TEST_ACL=1 $(BIN)/python -m pytest -n 3 --dist loadgroup

test-faulty: $(VENV)/.dev ## The suite while 1 % of all flights meet a rare error of SEED: nobody may notice
	$(BIN)/python -m pytest -n 3 --dist loadgroup --faulty 0.01 --faulty-seed $(or $(SEED),1)

check: $(VENV)/.dev ## Style, types, layers, sizes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/sizes.py

format: $(VENV)/.dev ## Lay the code out
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

mutants: $(VENV)/.dev ## Disable each write of each script in turn: some test must fail (at most 30 minutes)
	$(BIN)/python tools/mutants.py

STEPS ?= 500000
model: $(VENV)/.dev ## Walk model and engines through STEPS random steps of SEED: no answer may differ
	$(BIN)/python -m tests.model --steps $(STEPS) --seed $(or $(SEED),1)

crashpoints: $(VENV)/.dev ## Break every round trip of every public operation, in every way (a minute)
	$(BIN)/python -m tests.crash

N ?= 50000
ENGINE ?= streams
interleave: $(VENV)/.dev ## Play N schedules of real workers, from SEED on, on one ENGINE: no promise may be broken
	$(BIN)/python -m tests.interleave --schedules $(N) --seed $(or $(SEED),1) --engine $(ENGINE)

chaos-short: $(VENV)/.dev ## Attack real workers and servers for up to two minutes; the last line is the verdict
	$(BIN)/python -m chaos short $(if $(SEED),--seed $(SEED))

chaos: $(VENV)/.dev ## One reduced pass over all attacks (an hour), or one in full: make chaos ROW=N2 SEED=7
	$(BIN)/python -m chaos $(if $(ROW),row $(ROW),pass) $(if $(SEED),--seed $(SEED))

chaos-sabotage: $(VENV)/.dev ## Play broken builds of homing: the harness must catch each (15 minutes)
	$(BIN)/python -m chaos sabotage $(NAMES) $(if $(SEED),--seed $(SEED))

recovery: $(VENV)/.dev ## Kill workers of homing and its peers, and time until their jobs run again (15 minutes)
	$(BIN)/python -m benchmarks.recovery

bench: $(VENV)/.dev ## homing beside its peers in all scenarios, and docs/benchmarks.md (an hour and a half; goes on where it was)
	$(BIN)/python -m benchmarks --write $(if $(ONLY),--only '$(ONLY)') $(if $(SCENARIO),--scenario $(SCENARIO))

bench-quick: $(VENV)/.dev ## homing beside hand-written loops (a minute); fails where a ratio falls short
	@$(BIN)/python -m benchmarks quick $(if $(SCENARIO),--scenario $(SCENARIO))
