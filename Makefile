# make            says what there is
# make demo       shows the whole thing on a made-up delivery
# make test       runs the whole suite
# GLUE=5.1        before or behind a target: on the versions of Glue 5.1 instead of 6.0
SHELL   := /bin/bash
GLUE    ?= 6.0
VENV    ?= .venv-glue-$(GLUE)
CHECKS_VENV ?= .venv-template-checks
ROWS    ?= 50000
SIZES   ?= 1000000 2000000 5000000
SCALE   ?= 1000000 5000000 10000000 25000000 50000000
SUITES  ?=
SECONDS_EACH ?= 60
PYTEST_ARGS ?=
LONG    ?=

# The Python of that Glue release where the machine has it, else the newest that will do.
candidates_6.0 := python3.13 python3.12 python3.11 python3
candidates_5.1 := python3.11 python3
PYTHON  ?= $(shell for each in $(candidates_$(GLUE)); do \
	"$$each" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$each" && break; done)

# `make scan PATH=…` names what to look at, which make would take for everybody's search path: it is put back.
ifeq ($(origin PATH),command line)
SCANNED := $(PATH)
override PATH := $(shell echo "$$PATH")
ifeq ($(PATH),$(SCANNED))
override PATH := $(shell /usr/bin/getconf PATH)
endif
endif
override PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PATH
export PYTHONPATH := $(CURDIR)
export PYTHONDONTWRITEBYTECODE := 1
unexport SPARK_HOME SPARK_CONF_DIR

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-aws deliveries test test-aws check check-template format explain conformance scan profiles bench bench-scale torture fuzz audit audit-development build deploy destroy doctor cost clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/ready ## Make the virtual environment: pinned packages, Java if there is none

$(VENV)/ready: pyproject.toml jobs/runtime/local_spark.py
	@test -n "$(PYTHON)" || { echo "error: there is no Python 3.11 or newer with venv; install one, or name it: make PYTHON=…"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check "pip==25.3"
	$(VENV)/bin/python -m pip install --quiet --group glue-$(subst .,-,$(GLUE)) --group test
	$(VENV)/bin/python -m jobs.runtime.local_spark \
		|| { $(VENV)/bin/python -m pip install --quiet --group java && $(VENV)/bin/python -m jobs.runtime.local_spark; }
	@touch $@

demo: setup ## Write a realistic encrypted delivery, run the job on it, show the table
	@rm -rf .demo
	@python -m tests.demo.make_demo --folder .demo --rows $(ROWS)
	spark-submit jobs/pipeline.py --connector aep_profiles --root file://$(CURDIR)/.demo/root \
		--hash-key file:$(CURDIR)/.demo/keys/hash.key --envelope-key file:$(CURDIR)/.demo/keys/rsa.pem \
		--pgp-key file:$(CURDIR)/.demo/keys/pgp.sec --pgp-passphrase file:$(CURDIR)/.demo/keys/pgp.pass --quiet-seconds 0
	@python -m tests.demo.show_table --root .demo/root --table customer_profile

demo-aws: setup ## The same on S3, Secrets Manager, KMS, SNS and the Glue catalog, all played on this machine
	@python -m tests.demo.demo_aws --rows $(ROWS)

deliveries: setup ## Write a made-up delivery of every source: OUT=folder (ROWS=… of each)
	@test -n "$(OUT)" || { echo "error: say where: make deliveries OUT=build/deliveries"; exit 1; }
	@python -m tests.fixtures.deliveries "$(OUT)" --rows $(ROWS)

# More cases of what quicker tests show too are left out, unless LONG says otherwise.
whole = $(if $(filter 1 yes true,$(LONG)),-m "")

test: setup ## Run the suite; with LONG=1 all cases of it
	python -m pytest --ignore tests/aws $(whole) $(PYTEST_ARGS)

test-aws: setup ## Run the jobs on S3 and the Glue catalog, played on this machine; S3A comes from Maven Central
	python -m pytest tests/aws $(whole) $(PYTEST_ARGS)

check: setup check-template ## Lint, formatting and types; the CloudFormation template
	ruff format --check .
	ruff check .
	mypy

check-template: $(CHECKS_VENV)/ready ## Check the CloudFormation template, without AWS
	$(CHECKS_VENV)/bin/python -m infra.cloudformation.check

$(CHECKS_VENV)/ready: pyproject.toml
	$(PYTHON) -m venv --clear $(CHECKS_VENV)
	$(CHECKS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check "pip==25.3"
	$(CHECKS_VENV)/bin/python -m pip install --quiet --group template-checks
	@touch $@

format: setup ## Format, and mend what the linter can mend
	ruff format .
	ruff check --fix .

explain: setup ## Show how profiles normalise a value: FIELD=email VALUE=… COUNTRY=US PROFILES=uid2,meta (or FILE=…)
	@python -m jobs.explain $(if $(FILE),--file "$(FILE)",--field "$(FIELD)" --value "$(VALUE)") \
		$(if $(COUNTRY),--country "$(COUNTRY)") $(if $(PROFILES),--profiles "$(PROFILES)")

conformance: setup ## Hold the hashes against samples: VECTORS=file.csv (profile, field, country, raw, sha256_hex …)
	@python -m jobs.conformance --vectors "$(VECTORS)" $(CONFORMANCE_ARGS)

scan: setup ## Find personal data that somebody forgot: PATH=folder FORMAT=parquet|csv|json, or ROOT=… TABLE=…
	@spark-submit jobs/scan.py $(if $(SCANNED),--path "$(SCANNED)") $(if $(FORMAT),--format "$(FORMAT)") \
		$(if $(ROOT),--root "$(ROOT)") $(if $(TABLE),--table "$(TABLE)") $(SCAN_ARGS)

profiles: setup ## Write the reference table of the profiles anew, transforms/profiles/README.md
	python -m transforms.profiles.reference_table > transforms/profiles/README.md

bench: setup ## Measure speed and memory beside DuckDB, pandas, cryptography and GnuPG (SIZES="1000000 …")
	python -m tests.benchmarks.run --rows $(SIZES)

# On update a stack keeps its Glue release, unless the person names one.
named_glue = $(if $(filter command environment,$(firstword $(origin GLUE))),--glue $(GLUE))
region = $(if $(REGION),--region "$(REGION)")
yes = $(if $(filter 1 yes true,$(YES)),--yes)

bench-scale: setup ## Measure how time, memory and spill grow with rows, files and skew; reckon a billion rows (SCALE="1000000 …")
	python -m tests.benchmarks.scale --rows $(SCALE) --files 1 10 50 200 --skew-rows 1000000
	python -m tests.benchmarks.scale_plan

torture: setup ## Break it on purpose, in full: crashes, two at once, readers, leaks, fuzzing (SUITES="crash leaks")
	@$(VENV)/bin/python -m pip install --quiet --group fuzz
	python -m tests.torture.run $(SUITES)

fuzz: setup ## Fuzz every reader of foreign bytes, SECONDS_EACH=60 for each; figures in tests/fuzz/results
	@$(VENV)/bin/python -m pip install --quiet --group fuzz
	nice python -m tests.fuzz.run --seconds $(SECONDS_EACH)

audit: setup ## Look up known vulnerabilities of the wheels that Glue gets (GLUE=5.1 for that release)
	@python -m infra.audit --glue $(GLUE)

audit-development: setup $(CHECKS_VENV)/ready ## The same of what is installed for development
	@python -m infra.audit --of development --environment $(VENV)
	@python -m infra.audit --of development --environment $(CHECKS_VENV)

build: setup ## Build what Glue runs from this commit, and prove that its wheels install (GLUE=5.1 for that release)
	@python -m infra.build --glue $(GLUE) $(BUILD_ARGS)

deploy: setup ## Upload and change a stack: STACK=… BUCKET=… PARAMETERS="Name=value …" TAGS="k=v …" COMMIT=… YES=1
	@python -m infra.deploy --stack "$(STACK)" --bucket "$(BUCKET)" $(named_glue) $(region) $(yes) \
		$(if $(PARAMETERS),--parameters="$$PARAMETERS") $(if $(TAGS),--tags="$$TAGS") \
		$(if $(COMMIT),--commit "$(COMMIT)") $(DEPLOY_ARGS)

destroy: setup ## Delete a stack and keep its data: STACK=… YES=1
	@python -m infra.destroy --stack "$(STACK)" $(region) $(yes)

doctor: setup ## Say what is not well with a deployed stack, and what mends it: STACK=…
	@python -m infra.doctor --stack "$(STACK)" $(region) $(DOCTOR_ARGS)

# ROWS has a default that is for demos.
named_rows = $(if $(filter command environment,$(firstword $(origin ROWS))),--rows "$(ROWS)")
cost: setup ## Reckon what a nightly load costs, beside DataBrew: ROWS=10000000 (default: 1, 10 and 100 million)
	@python -m infra.cost $(named_rows) $(named_glue) $(COST_ARGS)

clean: ## Delete everything that was made here
	rm -rf .venv-glue-* $(CHECKS_VENV) .demo build .pytest_cache .mypy_cache .ruff_cache .hypothesis
