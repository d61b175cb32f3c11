/* SPDX-License-Identifier: Apache-2.0
 *
 * Every setting, once: the flag --http-rate-limit, the variable
 * SOUK_HTTP_RATE_LIMIT, the key http_rate_limit of the YAML file, the field of
 * struct settings, the help and docs/CONFIG.md.  Include with PARAM() defined.
 *
 *  PARAM(name, type, text, number, min, max, argument, help)
 *
 * |text| is the default of TEXT, CHOICE, LIST, MAP and PLACE, |number| that of
 * the others (durations in nanoseconds, a RATE of 0 is "off"), with its range.
 * The choices of a CHOICE stand in |argument|.                              */

/* The house. */
PARAM(data, TEXT, "", 0, 0, 0, "DIR",
      "directory of all state; default $XDG_DATA_HOME/souk, else "
      "~/.local/share/souk")
PARAM(config, TEXT, "", 0, 0, 0, "FILE",
      "configuration file, itself no key of it; default DIR/souk.yaml if it "
      "is there")
PARAM(identity_file, TEXT, "", 0, 0, 0, "FILE",
      "private key of the node; default DIR/identity.key")
PARAM(log_level, CHOICE, "info", 0, 0, 0, "error|warn|info|debug",
      "how much is logged")
PARAM(log_format, CHOICE, "text", 0, 0, 0, "text|json",
      "how log lines are written")
PARAM(shutdown_delay, DURATION, NULL, 0, 0, 5 * MINUTES, "TIME",
      "how long to keep serving after SIGTERM, /readyz being 503 already")

/* The network of peers. */
PARAM(network, CHOICE, "souk", 0, 0, 0, "souk|ggen", "network to join")
PARAM(listen, LIST, "/ip4/0.0.0.0/tcp/8802,/ip6/::/tcp/8802", 0, 0, 0,
      "MULTIADDR", "address to accept peers on; port 0 takes a free one")
PARAM(announce, LIST, "", 0, 0, 0, "MULTIADDR",
      "address to tell others besides those listened on")
PARAM(bootstrap, LIST, "", 0, 0, 0, "MULTIADDR",
      "peer to join through, with its /p2p/ID")
PARAM(standalone, BOOL, NULL, 0, 0, 1, "", "never dial; ready without peers")
PARAM(private_network, BOOL, NULL, 0, 0, 1, "",
      "dial, keep and hand on private and loopback addresses")
PARAM(kad_mode, CHOICE, "server", 0, 0, 0, "server|client",
      "answer the DHT's questions, or only ask")
PARAM(location, PLACE, "", 0, 0, 0, "LAT,LON",
      "where the node is, in degrees; told in search answers")
PARAM(trust, MAP, "", 0, 0, 0, "NAMESPACE=PEER",
      "the key that owns a namespace, whoever published first")
PARAM(dials_max, NUMBER, NULL, LIMIT_CONNS_DIALLED, 1, 4096, "N",
      "connections up to which peers that others tell of are dialled")
PARAM(conns_trim, NUMBER, NULL, LIMIT_CONNS_TRIM, 1, 4096, "N",
      "connections above which idle ones are closed")
PARAM(conns_max, NUMBER, NULL, LIMIT_CONNS_MAX, 1, 4096, "N",
      "connections at most")
PARAM(conns_ip_max, NUMBER, NULL, LIMIT_CONNS_IP_MAX, 1, 4096, "N",
      "connections from one IP address")
PARAM(unsent_bytes_max, SIZE, NULL, LIMIT_UNSENT_BYTES_MAX, 1 << 20,
      INT64_C(1) << 36, "SIZE", "bytes written to peers and not sent, of all")
PARAM(partial_bytes_max, SIZE, NULL, LIMIT_PARTIAL_BYTES_MAX, 1 << 20,
      INT64_C(1) << 36, "SIZE", "peers' messages that are not whole, of all")
PARAM(records_bytes_max, SIZE, NULL, LIMIT_RECORDS_BYTES_MAX, 1 << 20,
      INT64_C(1) << 40, "SIZE", "DHT records kept for others, in memory")
PARAM(catalogue_bytes_max, SIZE, NULL, LIMIT_CATALOGUE_BYTES_MAX, 1 << 20,
      INT64_C(1) << 50, "SIZE", "other people's packages kept on disk")
PARAM(outbox_max, NUMBER, NULL, LIMIT_OUTBOX_MAX, 1, 100000000, "N",
      "publishes that wait for the network; more are refused")
PARAM(terms_max, NUMBER, NULL, LIMIT_TERMS_MAX, 0, 100000, "N",
      "search terms of own packages provided to the network")
PARAM(search_fan_out, NUMBER, NULL, LIMIT_SEARCH_FAN_OUT, 0, 32, "N",
      "peers asked by a network search")

/* HTTP. */
PARAM(http, TEXT, "127.0.0.1:8800", 0, 0, 0, "ADDR:PORT",
      "address of the REST API")
PARAM(admin, TEXT, "127.0.0.1:8801", 0, 0, 0, "ADDR:PORT",
      "address of the admin API and metrics, or unix:PATH")
PARAM(gateway_threads, NUMBER, NULL, 0, 0, 64, "N",
      "threads serving HTTP; 0 is one per core, at most 4")
PARAM(http_write_auth, CHOICE, "token", 0, 0, 0, "token|none",
      "what a write needs; none is refused beyond loopback")
PARAM(publish_token_file, TEXT, "", 0, 0, 0, "FILE",
      "holds a token that may publish and yank, and do nothing else")
PARAM(http_rate_limit, RATE, NULL, LIMIT_HTTP_RATE, 1, 1000000, "N|off",
      "requests a second of one client")
PARAM(http_rate_burst, NUMBER, NULL, LIMIT_HTTP_RATE_BURST, 1, 1000000, "N",
      "requests one client may save up")
PARAM(http_conns_max, NUMBER, NULL, LIMIT_HTTP_CONNS_MAX, 16, 65536, "N",
      "HTTP connections at most")
PARAM(hot_cache_bytes_max, SIZE, NULL, LIMIT_HOT_CACHE_BYTES_MAX, 0,
      INT64_C(1) << 36, "SIZE", "answers kept ready in memory")
PARAM(trusted_proxies, LIST, "", 0, 0, 0, "CIDR",
      "proxies whose X-Forwarded headers and traceparent count")
PARAM(public_url, TEXT, "", 0, 0, 0, "URL", "where clients reach the API")
PARAM(base_path, TEXT, "", 0, 0, 0, "PATH", "path the API is served under")
PARAM(cors_origins, LIST, "", 0, 0, 0, "ORIGIN",
      "web origin that may write; reads are open to all")
#undef PARAM
