# The few commands a person types. Each installs what it needs first (tools/setup.sh) and does nothing twice.
.DEFAULT_GOAL := help
MODEL ?= models/all-MiniLM-L6-v2
SECONDS_PER_TARGET ?= 600

.PHONY: help demo build python test bench sanitize fuzz lint format clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build  ## everything a bare Debian 12 needs, then hidden states of real text: shown, stored, killed, resumed, verified
	@tools/setup.sh demo
	@tools/demo_model.sh "$(MODEL)"
	@MODEL="$(MODEL)" demo/run.sh

build:  ## the program, build/release/layerscope
	@tools/setup.sh build
	@tools/build.sh release layerscope

python:  ## the Python package, into .venv
	@tools/setup.sh python
	@tools/python.sh

test:  ## the whole test suite; the last line counts passed and failed
	@tools/setup.sh test
	@MODEL="$(MODEL)" tools/test.sh

bench:  ## all layers as a share of the matrix rate, the kernels one by one, single-token steps as a share of the bandwidth
	@tools/setup.sh build
	@tools/bench.sh

sanitize:  ## the unit tests under address, undefined-behaviour and thread sanitizers
	@tools/setup.sh test
	@tools/sanitize.sh

fuzz:  ## the fuzz targets, SECONDS_PER_TARGET seconds each (default 600)
	@tools/setup.sh fuzz
	@tools/fuzz.sh $(SECONDS_PER_TARGET)

lint:  ## clang-tidy, the direction of dependencies, names
	@tools/setup.sh lint
	@tools/lint.sh

format:  ## rewrite the C++ sources in the house style
	@tools/setup.sh format
	@tools/format.sh --fix

clean:  ## remove what was built (build/); the model and the Python environment stay
	rm -rf build
