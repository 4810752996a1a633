# The operator's configuration from the outside: what is printed is a configuration again, mistakes have a place, a reload is told before it is done.
# The checks are in tests/e2e/tap.sh, which prints TAP.
. tests/e2e/tap.sh
sample=$root/config/defaults/tidemark.yaml
secret=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff

exits 0 "the sample is accepted" "$tide" config check --config "$sample"
exits 0 "so is nothing at all" "$tide" config check
exits 0 "print" env TIDEMARK_HTTP_PORT=9001 TIDEMARK_HASH_KEY=$secret "$tide" config print --config "$sample" --set log.level=debug --set "model.file=a b.json"
cp "$out" "$tmp/printed.yaml"
check "a value of the file names its line" grep -Eq '^  file: .*features.yaml +# .*tidemark.yaml:[0-9]+$' "$tmp/printed.yaml"
check "a value of the environment names its variable" grep -Eq '^  port: 9001 +# environment TIDEMARK_HTTP_PORT$' "$tmp/printed.yaml"
check "a value of the command line says so" grep -Eq '^  level: debug +# --set$' "$tmp/printed.yaml"
check "the key is not printed" sh -c "! grep -q 00112233 '$tmp/printed.yaml'"
exits 0 "what was printed is accepted" "$tide" config print --config "$tmp/printed.yaml"
sed 's/ *#.*//' "$tmp/printed.yaml" >"$tmp/a"
sed 's/ *#.*//' "$out" >"$tmp/b"
same "and gives the same values" "$tmp/a" "$tmp/b"
exits 0 "with descriptions as well" "$tide" config print --config "$tmp/printed.yaml" --describe
cp "$out" "$tmp/described.yaml"
check "each option is described" grep -q '# Port of the scoring listener' "$tmp/described.yaml"
exits 0 "the described one is accepted" "$tide" config check --config "$tmp/described.yaml" --running "$tmp/printed.yaml"
check "and differs in nothing" grep -q 'takes all 0 changes' "$out"

printf 'http:\n  prot: 80\n  port: eighty\n' >"$tmp/bad.yaml"
exits 3 "a file with mistakes" "$tide" config check --config "$tmp/bad.yaml"
says "the first with line and column and a suggestion" 'bad.yaml:2:3: .*did you mean http.port'
says "the second too" 'bad.yaml:3:9: http.port takes a whole number'
exits 3 "a variable that is no option" env TIDEMARK_HTTP_PROT=1 "$tide" config check
says "the nearest one is suggested" 'did you mean TIDEMARK_HTTP_PORT'
exits 3 "a misspelt variable with a secret" env TIDEMARK_HASHKEY=$secret "$tide" config check
says "its name is told" 'TIDEMARK_HASHKEY.*did you mean TIDEMARK_HASH_KEY'
check "its value is not" sh -c "! grep -q 00112233 '$err'"
exits 3 "--set of an unknown option" "$tide" config check --set http.prot=1
exits 3 "--set without a value" "$tide" config check --set http.port
exits 2 "an unknown flag" "$tide" config check --confg x
exits 4 "a file that is not there" "$tide" config check --config "$tmp/nowhere.yaml"

printf 'log: {level: debug}\n' >"$tmp/soft.yaml"
printf 'log: {level: debug}\nhttp: {port: 9}\n' >"$tmp/hard.yaml"
: >"$tmp/empty.yaml"
exits 0 "a change that a reload takes" "$tide" config check --config "$tmp/soft.yaml" --running "$tmp/empty.yaml"
check "it is named" grep -qx 'log.level: info -> debug' "$out"
exits 1 "a change that needs a restart" "$tide" config check --config "$tmp/hard.yaml" --running "$tmp/empty.yaml"
check "it is named as such" grep -qx 'http.port: 8080 -> 9 (needs a restart)' "$out"

kafka=$root/config/kafka.yaml
exits 0 "a cell that reads Kafka" "$tide" config check --config "$kafka"
check "what it has is counted" grep -q '; 5 sources; 9 settings of Kafka$' "$out"
exits 0 "print" env TIDEMARK_SOURCES_AUTHS_TOPIC=other TIDEMARK_KAFKA_SASL_PASSWORD=hunter2 "$tide" config print --config "$kafka" --set kafka.linger.ms=7 --describe
cp "$out" "$tmp/kafka.yaml"
check "a key of a source names its variable" grep -Eq '^    topic: other +# environment TIDEMARK_SOURCES_AUTHS_TOPIC$' "$tmp/kafka.yaml"
check "a setting says that it is of the command line" grep -Eq '^  linger.ms: 7 +# --set$' "$tmp/kafka.yaml"
check "a secret is told to be set" grep -Eq '^  # sasl.password: set +# environment TIDEMARK_KAFKA_SASL_PASSWORD' "$tmp/kafka.yaml"
check "and not shown" sh -c "! grep -q hunter2 '$tmp/kafka.yaml'"
exits 1 "what was printed is accepted, and differs" "$tide" config check --config "$tmp/kafka.yaml" --running "$kafka"
check "in the topic" grep -qx 'sources.auths.topic: card-authorizations -> other (needs a restart)' "$out"
check "in the setting" grep -qx 'kafka.linger.ms: none -> 7 (needs a restart)' "$out"
check "in nothing else but the password" grep -qx 'a reload is refused: 3 of 3 changes need a restart' "$out"
exits 3 "a secret on the command line" "$tide" config check --config "$kafka" --set kafka.sasl.password=hunter2
says "where it belongs is told" 'kafka.sasl.password is a secret.*kafka.sasl.password_file'
check "it is not repeated" sh -c "! grep -q hunter2 '$err'"
printf 'kafka:\n  lingre.ms: 5\n  acks: seven\n  security.protocol: SASL_SSL\n' >"$tmp/bad-kafka.yaml"
exits 3 "settings that the client does not take" env TIDEMARK_KAFKA_ENABLE_IDEMPOTENCE=hunter2 "$tide" config check --config "$tmp/bad-kafka.yaml"
says "one that it does not know" 'bad-kafka.yaml:2:14: kafka.lingre.ms of the client: librdkafka has no such setting'
says "one whose value it does not take" 'bad-kafka.yaml:3:9: kafka.acks of the client: librdkafka does not take the value'
says "one of the environment by its variable" 'environment TIDEMARK_KAFKA_ENABLE_IDEMPOTENCE: librdkafka does not take kafka.enable.idempotence'
check "without its value" sh -c "! grep -q hunter2 '$err'"
check "what it takes is not told" sh -c "! grep -q security '$err'"
exits 3 "one that is to come from a file is known by name" "$tide" config check --set kafka.sasl.pasword_file=/nowhere
says "it is told without reading the file" 'kafka.sasl.pasword of the client: librdkafka has no such setting'
exits 0 "values of files are not read, whatever their type" "$tide" config check --set kafka.linger.ms_file=/nowhere --set kafka.partitioner_file=/nowhere --set kafka.sasl.password_file=/nowhere
exits 0 "a quorum below all replicas, where everything is in Kafka" "$tide" config check --config "$kafka" --set journal.quorum=1
exits 3 "a quorum below all replicas, and what comes by HTTP is nowhere else" "$tide" config check --config "$kafka" --set journal.quorum=1 --set http.log=none
says "what to do is told" 'journal.quorum is below journal.replicas.*Set http.log: kafka'
head -c 1200000 /dev/zero | tr '\0' '#' >"$tmp/large.yaml"
exits 4 "a file that is too large" "$tide" config check --config "$tmp/large.yaml"
says "it is named" 'large.yaml has more than 1048576 bytes'
done_testing
