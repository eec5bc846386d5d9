# Everything happens in .venv; the constraints are those that CI tests with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: quickstart test lint clean

# the stamps say what is installed: a change of pyproject.toml or constraints.txt installs again
$(VENV)/base: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) torch  # first and alone: pinned by the constraints, and a CPU build where the index has one
	$(PIP) --editable ".[quickstart]"
	touch $@

$(VENV)/dev: $(VENV)/base
	$(PIP) --group dev ".[ct2,llama-cpp,lora,mteb,onnx,opensearch,openvino,ray,serve,transformers]"
	$(PIP) --editable . --no-deps
	touch $@

quickstart: $(VENV)/base
	$(BIN)/haystack-lrl quickstart

test: $(VENV)/dev lint
	HF_HUB_OFFLINE=1 HAYSTACK_TELEMETRY_ENABLED=False OMP_NUM_THREADS=1 \
		$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --durations 25

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache dist build
