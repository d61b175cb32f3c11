/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_SERVE_H
#define GATEWAY_SERVE_H

/* `souk serve [flags]`: a node with its gateway, until a signal.  The exit
 * status. */
int serve_run(int argc, char **argv);

#endif /* GATEWAY_SERVE_H */
