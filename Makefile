# `make demo` shows Tandem at work, `make test` runs every test, `make check` runs every linter.
VENV := .venv
BIN  := $(VENV)/bin
UV   := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
INSTALLED := $(VENV)/.installed

.PHONY: install demo check lint test test-unit bench clean

install: $(INSTALLED)

# uv installs what uv.lock says; where there is no uv, pip brings it into the environment first.
$(INSTALLED): pyproject.toml uv.lock
	@if ! command -v uv >/dev/null 2>&1; then \
		test -x $(BIN)/python || python3 -m venv $(VENV); \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==0.13.9"; \
	fi
	UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync --frozen --quiet
	@touch $@

demo: install
	$(BIN)/tandem demo

check: install lint
	$(BIN)/python deploy/check.py

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: install
	$(BIN)/pytest

test-unit: install
	$(BIN)/pytest tests/unit

bench: install
	$(BIN)/python -m benchmarks.pipeline

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
