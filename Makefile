# The two commands a newcomer needs are `make demo` and `make test`; `make help` lists the rest.
# Every target first runs the set-up, which takes no time when there is nothing to do.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: contracts images bench-offline-stt bench-offline-answers bench-voice bench-voice-to-voice bench-answering bench-barge-in bench-call-cost bench-bus bench-retrieval bench-admission bench-gateway bench-guard bench-page help setup test-setup demo up down status logs call test lint types unit integration e2e prove mutants security lock

python := .venv/bin/python
fleet := $(python) -m fleet
# Where it is set, every start of every process would compile our sources again.
export PYTHONDONTWRITEBYTECODE :=
# espeak-ng's sound library makes folders for itself; they belong below var/.
export PULSE_RUNTIME_PATH := $(CURDIR)/var/pulse
export PULSE_STATE_PATH := $(CURDIR)/var/pulse
# Since 1.29 onnxruntime reports to its maker unless told not to.
export ORT_DISABLE_TELEMETRY := 1

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-21s %s\n", $$1, $$2 }' Makefile

setup: ## install what is missing: system packages (as root), .venv, LiveKit server, models
	@sh tools/setup.sh

# What only tests need.
test-setup:
	@sh tools/setup.sh tests

demo: setup ## start the whole fleet, onboard a clinic, place a real phone call, judge what was heard (SEED=n repeats a run, PROVIDERS=emulated)
	@$(fleet) demo $(if $(SEED),--seed $(SEED)) $(if $(PROVIDERS),--providers $(PROVIDERS))

up: setup ## start the fleet to stay, with a demo clinic (COPIES="rag-svc=2 voice-agent=2" runs more than one of a service)
	@$(fleet) up $(if $(SEED),--seed $(SEED)) $(if $(COPIES),--copies "$(COPIES)")

down: setup ## stop the fleet that `make up` started
	@$(fleet) down

status: setup ## what runs, on which ports, since when
	@$(fleet) status

logs: setup ## the logs' last lines, and on (NAME=voice-agent for one process)
	@$(fleet) logs $(NAME)

call: setup ## call the demo clinic: make call ASK="how much is a cleaning"
	@$(fleet) call "$$ASK"

lint: setup ## style, formatting, who may import whom, what migrations lock
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports
	@$(python) -m switchboard.testing.migration_lint

types: setup ## mypy, strict
	@sh tools/types.sh

unit: setup ## tests without processes and sockets
	@.venv/bin/pytest -q -m unit

integration: test-setup ## tests against real PostgreSQL, NATS, Redis and LiveKit (INFRA=containers: as containers)
	@.venv/bin/pytest -q -m integration

images: test-setup ## build the servers' images for INFRA=containers CONTAINER_IMAGES=local (BASE=debian:bookworm-slim, or debootstrap)
	@BASE="$(BASE)" sh dev/containers/build.sh

e2e: setup ## tests of the whole fleet through its public faces
	@.venv/bin/pytest -q -m e2e

prove: test-setup ## the long forms of what CI runs shortly, each written into docs/reliability.md (two hours; ROW=bus, ROW=copies: these only)
	@$(python) -m fleet.prove $(ROW)

mutants: test-setup ## remove the lines that keep the bus's promises, one after the other: which test notices? (PROMISE="poison")
	@$(python) -m fleet.mutants $(PROMISE)

security: test-setup ## attack isolation, access and signing in, then remove each guard: which test notices? Written into docs/security.md (ATTACK=links)
	@$(python) -m fleet.security $(ATTACK)

test: test-setup lint types ## lint, types, and all tests
	@.venv/bin/pytest -q -m unit
	@.venv/bin/pytest -q -m integration
	@.venv/bin/pytest -q -m e2e

bench-offline-stt: setup ## word error rate of the offline ear, on clinics that it was not built with (QUICK=1: a minute)
	@$(python) -m bench.offline_stt $(if $(QUICK),--quick) $(if $(SEED),--seed $(SEED))

bench-offline-answers: setup ## what the offline pipeline answers rightly, wrongly and invents (QUICK=1: a minute)
	@$(python) -m bench.offline_answers $(if $(QUICK),--quick) $(if $(SEED),--seed $(SEED))

# ACCEPT=1 keeps the figures as the accepted ones; then `make bench-page`.
speed := $(if $(QUICK),--quick) $(if $(SEED),--seed $(SEED)) $(if $(ACCEPT),--accept)

bench-bus: test-setup ## requests over the bus against bare nats-py; facts and configurations until they show (QUICK=1, ACCEPT=1)
	@$(python) -m bench.bus $(speed)

bench-retrieval: test-setup ## searches through rag-svc against a bare query on the same tables (QUICK=1, ACCEPT=1)
	@$(python) -m bench.retrieval $(speed)

bench-admission: test-setup ## decisions about calls with 10,000 tenants: time, memory, cold start (QUICK=1, ACCEPT=1)
	@$(python) -m bench.admission $(speed)

bench-gateway: test-setup ## CPU of an authenticated request against bare routes (QUICK=1, ACCEPT=1)
	@$(python) -m bench.gateway $(speed)

bench-voice: bench-voice-to-voice bench-answering bench-barge-in bench-call-cost ## the four benches of a call, one after the other (an hour; QUICK=1: some minutes)

bench-voice-to-voice: test-setup ## how long a caller waits for an answer, over SIP, beside the floor and a plain worker (ACCEPT=1 keeps it)
	@$(python) -m bench.voice_to_voice $(speed)

bench-answering: test-setup ## INVITE to the first sound, one call and bursts, beside a plain worker
	@$(python) -m bench.answering $(speed)

bench-barge-in: test-setup ## how soon the agent is silent when the caller speaks, and what coughs do
	@$(python) -m bench.barge_in $(speed)

bench-call-cost: test-setup ## CPU and memory of a call by process, 1 to 15 at once, beside a plain worker
	@$(python) -m bench.call_cost $(speed)

bench-guard: test-setup ## does anything of ours cost over 1.3 x the CPU of the accepted figures? (BENCH="bus gateway": these only)
	@$(python) -m bench.frame.guard $(BENCH)

bench-page: test-setup ## write the accepted figures and their charts into docs/benchmarks.md
	@$(python) -m bench.frame.publish

contracts: setup ## write the golden schemas and docs/asyncapi.json; refuses a change that breaks somebody (READERS_FIRST=calls.ended/1)
	@$(python) -m switchboard.contracts.golden $(if $(READERS_FIRST),--readers-first $(READERS_FIRST)) libs/common/tests/contracts/golden
	@$(python) -m switchboard.bus.asyncapi docs/asyncapi.json

lock: setup ## compile the pins again after a change to a pyproject.toml
	@sh tools/lock.sh
