/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_CONFIGURE_H
#define GATEWAY_CONFIGURE_H

#include "gateway/gateway.h"
#include "host/host.h"
#include "host/lines.h"
#include "store/store.h"
#include "tbl/settings.h"

/* From a command line to what each room wants to know.
 *
 *      flags, environment, DIR/souk.yaml ─► struct settings ─► struct setup
 *
 * A setup that could be made is one that a node would start with, as far as can
 * be told without touching disk and network. */
struct setup {
    struct settings settings;
    char file[4096]; /* the YAML file that was read, "" */

    const struct network *network;
    struct multiaddr *listen, *announce, *bootstrap;
    struct store_trust *trust;
    enum log_level log_level;
};

/* |argv| holds flags only.  ERR_CONFIG, with or without setup_release(). */
MUST_USE
enum err setup_make(struct setup *s, int argc, char *const *argv,
                    char *const *environment, struct settings_error *error);
void setup_release(struct setup *s);

/* What these say is borrowed from |s|. */
void setup_store_config(const struct setup *s, struct store_config *out);
void setup_host_config(const struct setup *s, struct host_config *out);
void setup_gateway_config(const struct setup *s, struct gateway_config *out);

/* `souk config check|print|docs|errors [flags]`; the exit status. */
int config_run(int argc, char **argv);

#endif /* GATEWAY_CONFIGURE_H */
