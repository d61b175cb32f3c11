/* SPDX-License-Identifier: Apache-2.0 */
/* Loops of libraries, written so that cppcheck can follow them. */
#define HASH_ITER(hh, head, el, tmp) \
    for ((el) = (head), (tmp) = (el); (el) != NULL; (el) = (tmp))
#define json_array_foreach(array, index, value)                         \
    for ((index) = 0; ((value) = json_array_get(array, index)) != NULL; \
         (index)++)
