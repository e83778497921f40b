# servers.sh - sourced by run: programs that stay, under load over loopback. Beside their results the memory of the process is
# looked at: it must not grow from the second round of the same load to the last.

# served_by PID: the process has the library mapped.
served_by() {
  [ "$on" = glibc ] && return
  grep -q libscalloc_preload "/proc/$1/maps" || { echo "process $1 is not on scalloc"; return 1; }
  echo mapped >&2
}

# kilobytes PID: resident memory and page tables.
kilobytes() { awk '/^Vm(RSS|PTE):/ { n += $2 } END { print n }' "/proc/$1/status"; }

# no_growth BEFORE AFTER
no_growth() {
  echo "memory of the server: $1 kB in the second round, $2 kB in the last" >&2
  [ "$2" -le $(($1 + $1 / 10 + 4096)) ] && echo "no growth"
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
  tries=$(($1 * 20))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { echo "in vain: $*"; return 1; }
    sleep 0.05
  done
}

free_port() {
  port=$((20000 + $$ % 20000))
  while grep -qi ":$(printf %04X $port) " /proc/net/tcp; do port=$((port + 1)); done
  echo $port
}

redis() { redis-cli -h 127.0.0.1 -p "$port" "$@"; }
redis_saved() { [ "$(redis info persistence | tr -d '\r' | sed -n 's/^rdb_bgsave_in_progress://p')" = 0 ]; }

redis_round() {
  redis-benchmark -h 127.0.0.1 -p "$port" -q -n "$(size 60000 8000)" -r 20000 -d "$2" -P 16 -c 20 \
    -t set,get,incr,lpush,rpop,sadd,hset,zadd,mset >/dev/null || return
  redis eval 'local s = 0
    for i = 1, tonumber(ARGV[1]) do
      redis.call("hset", "h" .. (i % 50), i, string.rep("v", i % 300))
      s = s + #redis.call("hget", "h" .. (i % 50), i)
    end
    return s' 0 "$(size 20000 3000)"
  redis bgsave >/dev/null && wait_for 30 redis_saved
  redis info persistence | tr -d '\r' | grep -x 'rdb_last_bgsave_status:ok'
  redis dbsize >/dev/null && redis flushall >/dev/null && echo "round $1"
}

needs_redis() { echo redis-server redis-cli redis-benchmark; }
run_redis() {
  port=$(free_port)
  under redis-server --port "$port" --bind 127.0.0.1 --dir "$PWD" --save '' --daemonize no --logfile "$PWD/log" &
  wait_for 10 redis ping || return
  pid=$(redis info server | tr -d '\r' | sed -n 's/^process_id://p')
  servers="$servers $pid"
  served_by "$pid" || return
  for round in 1 2 $(size '3 4 5 6' '3'); do
    redis_round "$round" 100 || return
    [ "$round" != 2 ] || second=$(kilobytes "$pid")
  done
  no_growth "$second" "$(kilobytes "$pid")"
  # What is there survives a save and a restart.
  for i in $(seq 1 200); do echo "SET key$i $(printf '%0*d' $i $i)"; done | redis >/dev/null
  redis save && redis eval 'local t = redis.call("keys", "*") table.sort(t)
    local s = "" for _, k in ipairs(t) do s = redis.sha1hex(s .. k .. redis.call("get", k)) end return s' 0
  redis debug reload && redis dbsize
  redis shutdown nosave
  wait
}

nginx_workers() { pgrep -P "$(cat nginx.pid)"; }

needs_nginx() { echo nginx ab pgrep; }
run_nginx() {
  port=$(free_port)
  mkdir -p html temp
  seq 1 20000 >html/large.txt && echo small >html/small.txt
  cat >nginx.conf <<END
daemon off; worker_processes 2; pid $PWD/nginx.pid; error_log $PWD/error.log;
events { worker_connections 256; }
http {
  access_log off; gzip on; gzip_types text/plain; gzip_min_length 1000;
  client_body_temp_path $PWD/temp; proxy_temp_path $PWD/temp; fastcgi_temp_path $PWD/temp; uwsgi_temp_path $PWD/temp; scgi_temp_path $PWD/temp;
  server { listen 127.0.0.1:$port; root $PWD/html; location /again/ { proxy_pass http://127.0.0.1:$port/; } }
}
END
  [ "$(id -u)" != 0 ] || { sed -i '1i user root;' nginx.conf; }
  under nginx -p "$PWD" -c "$PWD/nginx.conf" &
  wait_for 10 ab -n 1 "http://127.0.0.1:$port/small.txt" || return
  servers="$servers $(cat nginx.pid)"
  for round in 1 2 $(size '3 4 5 6 7 8' '3'); do
    for page in small.txt large.txt again/large.txt missing.txt; do
      ab -q -k -n "$(size 4000 600)" -c 20 -H 'Accept-Encoding: gzip' "http://127.0.0.1:$port/$page" |
        grep '^\(Complete\|Failed\|Non-2xx\|HTML\)' || return
    done
    [ "$round" = 1 ] && kill -HUP "$(cat nginx.pid)" && sleep 1 # new workers, the old ones end
    for worker in $(nginx_workers); do served_by "$worker" || return; done
    [ "$round" != 2 ] || second=$(kilobytes "$(nginx_workers | head -n 1)")
  done
  no_growth "$second" "$(kilobytes "$(nginx_workers | head -n 1)")"
  kill -QUIT "$(cat nginx.pid)"
  wait
}
