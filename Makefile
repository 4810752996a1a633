# Tidemark: one Makefile for everything. `make help` lists the targets.
#
# Objects of one compiler and sanitizer live in a directory of their own (build/obj/gcc, build/obj/gcc-address), so variants never mix.
# Nothing that may be missing is needed while this file is read: before `make deps` has run, plain `make` and `make help` still work.

ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
FUZZ_SECONDS ?= 60
CASES ?=
SEED ?=

VARIANT := $(notdir $(firstword $(CC)))$(if $(SAN),-$(SAN))
OBJ := build/obj/$(VARIANT)
OUT := $(if $(filter gcc,$(VARIANT)),build,build/variant/$(VARIANT))
LIB := $(OUT)/libtidemark.a
BIN := $(if $(wildcard engine/main.c),$(OUT)/tidemark)

CPPFLAGS := -I. -Iengine -D_GNU_SOURCE
CFLAGS := -std=c11 -O2 -g -Wall -Wextra -Werror -Wconversion -Wshadow -ffp-contract=off -fno-omit-frame-pointer $(EXTRA_CFLAGS)
# TLS to Redis where there is a hiredis that has it (Debian 12's has not); without pkg-config the answer is no.
REDIS_TLS := $(shell pkg-config --exists hiredis_ssl openssl 2>/dev/null && echo yes)
ifeq ($(REDIS_TLS),yes)
CPPFLAGS += -DTIDE_REDIS_TLS $(patsubst -I%,-isystem %,$(shell pkg-config --cflags hiredis_ssl openssl))
HIREDIS_LIBS := $(shell pkg-config --libs hiredis_ssl openssl)
else
HIREDIS_LIBS := -lhiredis
endif
LDLIBS := -lrdkafka -lavro $(HIREDIS_LIBS) -lcurl -lmicrohttpd -lgnutls -lyajl -ljansson -llbfgs -lyaml -lsodium -lxxhash -lzstd -lz -lpthread -lm
FUZZ_SAN := -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

# jemalloc would hide allocations from the sanitizers. With TIDE_JEMALLOC blocks of known size are freed as such (engine/base/buf.c); who puts another
# allocator in its place, as memcheck of valgrind does, takes a build without it: SAN=undefined.
ifeq ($(SAN),)
LDLIBS += -ljemalloc
CPPFLAGS += -DTIDE_JEMALLOC
else ifeq ($(SAN),address)
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all
else ifeq ($(SAN),undefined)
SAN_FLAGS := -fsanitize=undefined -fno-sanitize-recover=all
else ifeq ($(SAN),thread)
SAN_FLAGS := -fsanitize=thread
else ifeq ($(SAN),coverage)
SAN_FLAGS := --coverage -O0
else ifeq ($(SAN),fuzz)
# The library under libFuzzer's instrumentation; each fuzzer brings the main function.
SAN_FLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
else ifeq ($(SAN),small)
# No sanitizer: blocks of 4 events, of which 3 are few, and sums over 4 blocks, so that a log of a few dozen events has all that one of 100,000 has.
SAN_FLAGS := -DTIDE_BLOCK_MAX=4 -DTIDE_SMALL_EVENTS=3 -DTIDE_SUPER=4 -DTIDE_TILE_MIN=1
else
$(error SAN is address, undefined, thread, coverage, small or fuzz, not "$(SAN)")
endif

LIB_SRC := $(sort $(wildcard engine/base/*.c engine/core/*.c engine/adapter/*.c engine/run/*.c engine/http/*.c engine/cli/*.c feature/*.c model/*.c config/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(OBJ)/%.o)
SUPPORT_SRC := $(sort $(wildcard tests/support/*.c))
SUPPORT_OBJ := $(SUPPORT_SRC:%.c=$(OBJ)/%.o)
SIM_OBJ := $(patsubst %.c,$(OBJ)/%.o,$(sort $(wildcard tests/sim/[a-z]*.c)))
ORACLE_OBJ := $(patsubst %.c,$(OBJ)/%.o,$(sort $(wildcard tests/oracle/[a-z]*.c)))

KINDS := unit contract golden oracle sim chaos e2e
test_src = $(sort $(wildcard tests/$(1)/[0-9]*.c tests/$(1)/[0-9]*.sh tests/$(1)/[0-9]*.py))
tests_of = $(patsubst %.c,$(OUT)/%,$(call test_src,$(1)))
TEST_ALL := $(foreach k,$(KINDS),$(call tests_of,$(k)))
TEST_BIN := $(filter-out %.sh %.py,$(TEST_ALL))
TOOL_BIN := $(patsubst %.c,$(OUT)/%,$(sort $(wildcard tests/tool/*.c)))
BENCH_BIN := $(patsubst %.c,$(OUT)/%,$(sort $(wildcard bench/bench_*.c)))
FUZZ_NAMES := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_BIN := $(FUZZ_NAMES:%=$(OUT)/tests/fuzz/%)
RUN_TESTS := TIDE_BIN="$(CURDIR)/$(or $(BIN),build/tidemark)" TIDE_CASES="$(CASES)" TIDE_SEED="$(SEED)" sh tests/support/run.sh

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all deps deps-kafka run test test-unit test-build test-only test-san test-san-build test-threads test-threads-build test-small test-small-build lint lint-run fmt coverage coverage-run fuzz fuzz-build fuzz-run sim oracle \
  chaos chaos-campaign bench bench-training stack stack-stop stack-status run-stack docs default-model console-picture help clean FORCE

all: $(LIB) $(BIN) ## Build the library and the program (CC=clang, SAN=address|undefined|thread choose a variant)

# The inner loops over columns are worth the vectorizer, which -O2 leaves off for loops of unknown length.
$(OBJ)/feature/window.o $(OBJ)/feature/block.o $(OBJ)/model/train.o: CFLAGS += $(if $(filter coverage,$(SAN)),,-O3)

build/.gitignore:
	@mkdir -p build && echo '*' > $@

# The fold keeps more at hand than there are registers: the frame pointer costs it 2 % of its instructions.
$(filter $(OBJ)/feature/% $(OBJ)/engine/core/%,$(LIB_OBJ)): CFLAGS += $(if $(SAN),,-fomit-frame-pointer)

$(OBJ)/%.o: %.c | build/.gitignore
	@mkdir -p $(@D)
	@echo "  cc   $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN_FLAGS) -MMD -MP -c -o $@ $<

# The document that the server serves stands in the object byte for byte.
$(OBJ)/engine/http/openapi.o: engine/http/openapi.yaml
$(OBJ)/engine/http/console.o: $(wildcard engine/http/console/*)

# Objects that were compiled with another answer about TLS are compiled again.
$(OBJ)/redis_tls: FORCE | build/.gitignore
	@mkdir -p $(@D)
	@echo '$(REDIS_TLS)' | cmp -s - $@ || echo '$(REDIS_TLS)' > $@
$(patsubst %.c,$(OBJ)/%.o,$(wildcard engine/adapter/journal_redis*.c)): $(OBJ)/redis_tls

# `q`, because two sources of different folders may have the same name. The list of objects is a prerequisite: a source that was removed leaves the archive as well.
$(OBJ)/library.list: FORCE | build/.gitignore
	@mkdir -p $(@D)
	@echo '$(LIB_OBJ)' | cmp -s - $@ || echo '$(LIB_OBJ)' > $@
FORCE:

$(LIB): $(LIB_OBJ) $(OBJ)/library.list
	@mkdir -p $(@D)
	@rm -f $@
	@ar qcs $@ $(LIB_OBJ)

$(OUT)/tidemark: $(OBJ)/engine/main.o $(LIB)
	@echo "  link $@"
	@$(CC) $(CFLAGS) $(SAN_FLAGS) -o $@ $(OBJ)/engine/main.o $(LIB) $(LDLIBS)

$(TEST_BIN): $(OUT)/%: $(OBJ)/%.o $(SUPPORT_OBJ) $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(SAN_FLAGS) -o $@ $(filter %.o,$^) $(LIB) -lcmocka $(LDLIBS)
$(call tests_of,oracle): $(ORACLE_OBJ)
$(call tests_of,sim): $(SIM_OBJ)

$(BENCH_BIN): $(OUT)/%: $(OBJ)/%.o $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(SAN_FLAGS) -o $@ $< $(LIB) $(LDLIBS)

# Programs that tests in Python run.
$(TOOL_BIN): $(OUT)/%: $(OBJ)/%.o
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(SAN_FLAGS) -o $@ $< $(LDLIBS)

$(FUZZ_BIN): $(OUT)/%: $(OBJ)/%.o $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(FUZZ_SAN) -o $@ $< $(LIB) $(LDLIBS)

deps: ## Install what is missing of config/packages.txt, and of packages-browser.txt where it can (Debian; without root it prints the command)
	@sh config/deps.sh config/packages.txt
	@sh config/deps.sh config/packages-browser.txt || echo "Without them the tests of the console, the alerts and the dashboard are skipped."

deps-kafka: deps ## The same for a real Kafka broker in tests and in make stack, config/packages-kafka.txt
	@sh config/deps.sh config/packages-kafka.txt

run: deps all ## Generate a sample log, replay it and explain what was seen
	@sh config/run.sh

test: deps ## Build and run every test; the last line is "N passed, N failed, N skipped"
	@MAKE='$(MAKE)' sh tests/support/suite.sh

test-unit: $(call tests_of,unit) ## Only the fast tests of tests/unit
	@$(RUN_TESTS) --total $(call tests_of,unit)

test-build: all $(TEST_BIN) $(TOOL_BIN) $(BENCH_BIN) # every test and benchmark program of this variant

test-only:
	@$(RUN_TESTS) $(TEST_ALL)

test-small-build: $(call tests_of,oracle)

test-small:
	@$(RUN_TESTS) $(call tests_of,oracle)

test-san-build: $(call tests_of,unit) $(call tests_of,contract)

test-san: # one case per program; a program that does not build is a failed case, so no prerequisites
	@$(RUN_TESTS) --whole $(call tests_of,unit) $(call tests_of,contract)

# Tests that start threads. TSan's own report is a failure (exit code 66), also where every case passes.
# The serving process and a back-fill run under it as well: the first report ends them, and their tests miss them.
THREADED := $(filter $(foreach t,11_meter 12_log 13_parallel 14_team 53_mirror 59_slices 75_engine 78_intake_ahead,%/$(t)),$(call tests_of,unit))
THREADED_E2E := $(filter $(foreach t,45_http_property.py 46_serve.py 48_threads.sh,%/$(t)),$(call tests_of,e2e))

test-threads-build: $(THREADED) all

test-threads:
	@TSAN_OPTIONS="halt_on_error=1:exitcode=66" $(RUN_TESTS) --whole $(THREADED) $(THREADED_E2E)

lint: $(LIB) ## Check layers, comments, sizes, names and format; every finding says what to do
	@$(RUN_TESTS) --total $(sort $(wildcard tests/lint/[0-9]*))

lint-run:
	@$(RUN_TESTS) $(sort $(wildcard tests/lint/[0-9]*))

fmt: ## Format the C files in place
	@sh tests/lint/format.sh --apply

coverage: ## Lines covered by the unit, contract and golden tests, per file
	@$(MAKE) --no-print-directory SAN=coverage coverage-run

coverage-run: $(call tests_of,unit) $(call tests_of,contract) $(call tests_of,golden)
	@find $(OBJ) -name '*.gcda' -delete
	@$(RUN_TESTS) --total $^
	@sh tests/support/coverage.sh $(OBJ) $(LIB_SRC)

fuzz: ## Fuzz every decoder for FUZZ_SECONDS (60) each
	@$(MAKE) --no-print-directory CC=clang SAN=fuzz fuzz-build
	@$(MAKE) --no-print-directory CC=clang SAN=fuzz fuzz-run FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_TOTAL=--total

fuzz-build: $(FUZZ_BIN)

fuzz-run:
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(RUN_TESTS) $(FUZZ_TOTAL) --fuzz $(FUZZ_BIN)

sim: all $(call tests_of,sim) ## The simulator's tests; CASES=n for a long run, CASES=1 SEED=n for one seed
	@TIDE_LIMIT_S=$(if $(CASES),14400,1200) $(RUN_TESTS) --total --show $(call tests_of,sim)

oracle: test-build ## Compare with the naive recount; CASES=n for a long run
	@$(RUN_TESTS) --total --show $(call tests_of,oracle)

chaos: test-build ## Kill, tear and fill the disk under a running engine
	@$(RUN_TESTS) --total $(call tests_of,chaos)

chaos-campaign: CASES := $(or $(CASES),300)
chaos-campaign: all ## Faults on real Redis servers until CASES=n failovers (300); SEED=n; the report is build/chaos-SEED.txt
	@TIDE_LIMIT_S=14400 $(RUN_TESTS) --total --show tests/chaos/42_redis_faults.py

bench: all $(BENCH_BIN) ## Print the table of measurements
	@for b in $(BENCH_BIN); do echo "== $$b"; TIDE_BIN="$(CURDIR)/$(BIN)" $$b || exit 1; done

bench-training: all $(OUT)/bench/bench_train ## Training sets beside DuckDB and Polars, fitting beside scikit-learn; installs them into build/bench-training
	@TIDE_BIN="$(CURDIR)/$(BIN)" python3 bench/training.py --install

STACK ?= redis$(if $(shell command -v java), kafka)
stack: | build/.gitignore ## Start real servers on free loopback ports (STACK="redis etcd kafka"; default redis, and kafka where Java is); URLs in build/stack/env
	@python3 tests/stack/stack.py start build/stack $(STACK)

stack-stop: ## End exactly the servers that make stack started
	@python3 tests/stack/stack.py stop build/stack

stack-status: ## What of the stack runs, and where
	@python3 tests/stack/stack.py status build/stack

run-stack: deps all stack ## The sample on the stack: two engines on Redis, and the primary is killed meanwhile
	@TIDE_BIN="$(CURDIR)/$(BIN)" python3 tests/stack/sample.py

default-model: all ## Train config/defaults/model.json again, after a change of its inputs or of the feature file
	@sh config/model.sh build config/defaults/model.json

docs: all ## Write the reference of verbs, options, settings, errors and metrics, config/REFERENCE.md
	@$(BIN) docs options > build/reference.md && mv build/reference.md config/REFERENCE.md

console-picture: all ## Take the picture of the console in README.md again (a few minutes; needs packages-browser.txt)
	@TIDE_BIN="$(CURDIR)/$(BIN)" python3 tests/support/console_picture.py engine/http/console.png

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@@\2/p' Makefile | awk -F'@@' '{printf "%-18s %s\n", $$1, $$2}'

clean: ## Remove build/
	@rm -rf build

-include $(LIB_OBJ:.o=.d) $(SUPPORT_OBJ:.o=.d) $(OBJ)/engine/main.d $(wildcard $(OBJ)/tests/*/*.d $(OBJ)/bench/*.d)
