# Every task sets itself up first; see packaging/bootstrap.py.
PYTHON3 := $(shell command -v python3 || command -v python3.13 || command -v python3.12 || command -v python3.11)
ARGS ?=
# make run PYTHON=... names the Python that .venv is made with.
export PYTHON

.PHONY: run test check fast setup wheel bundle check-bundle pictures docs clean
.DEFAULT_GOAL := run

run:  ## open the window: make run ARGS="face.pkl"
	@$(PYTHON3) packaging/bootstrap.py run $(ARGS)

test:  ## linters, types and every test: make test ARGS="-k mesh"
	@$(PYTHON3) packaging/bootstrap.py test $(ARGS)

check:  ## linters and types only
	@$(PYTHON3) packaging/bootstrap.py check

fast:  ## the tests without window, GPU and slow ones
	@$(PYTHON3) packaging/bootstrap.py fast $(ARGS)

setup:  ## install only
	@$(PYTHON3) packaging/bootstrap.py setup

wheel:  ## dist/*.whl and dist/*.tar.gz
	@$(PYTHON3) packaging/bootstrap.py check
	@.venv/bin/python -m build --no-isolation

bundle:  ## dist/maquette, which starts where nothing is installed: make bundle ARGS="--archive"
	@$(PYTHON3) packaging/bundle.py $(ARGS)

check-bundle:  ## try dist/maquette out (needs xvfb and xdotool)
	@$(PYTHON3) packaging/check_bundle.py dist/maquette/maquette $(ARGS)

pictures:  ## docs/images anew, from the real window (needs xvfb and xdotool): make pictures ARGS="gallery"
	@$(PYTHON3) packaging/bootstrap.py setup
	@.venv/bin/python -m tests.app.gui.pictures $(ARGS)

docs:  ## build/docs: the reference of the engine, from its docstrings
	@$(PYTHON3) packaging/bootstrap.py setup
	@.venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt "pdoc"
	@.venv/bin/python packaging/reference.py

clean:  ## forget the environment and everything built
	rm -rf .venv build dist *.egg-info tests/export/gltf/node_modules
