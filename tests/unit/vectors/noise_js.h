/* SPDX-License-Identifier: Apache-2.0
 *
 * Made by noise_js.mjs of @chainsafe/libp2p-noise 17.0.0 on both sides.  The
 * dialer's identity seed, Noise key and ephemeral key are 32 times 1, 2, 3, the
 * listener's 4, 5, 6.  Dialer and listener take turns, each says a flight: the
 * three messages of the handshake, the third along with "said by the dialer",
 * then "said by the listener". */
/* clang-format off */
static const struct js_transcript {
    const char *name, *dialer, *listener;
    const char *dialer_muxers, *listener_muxers; /* separated by spaces */
    const char *muxer; /* agreed on, or empty */
    const char *flights[4]; /* hex */
} js_transcripts[] = {
    {
     "the same muxer",
     "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5",
     "12D3KooWPT98FXMfDQYavZm66EeVjTqP9Nnehn1gyaydqV8L8BQw",
     "/yamux/1.0.0",
     "/yamux/1.0.0",
     "/yamux/1.0.0",
     {
     /* dialer */
     "00205dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef22",
     /* listener */
     "00d8f5b2d6e60f9477e310c2982daaa6c9136c108a1777c5947e448fa37d68174557c7"
     "d1fd99f1d533d3362ae2b80ffcd8c2b3e95ca446394c3218005c23f3be2286cba54de6"
     "eb2c0484c2bc34694e3b91a0f14ba050bb6b3b4fd9e723ec591641db8be10e58fabac3"
     "8532554a898308b70fa89f41f5f93275158f779db1f16415f3d26805d1f3240953f1f0"
     "f859d5418d365d78e1b7e0e7210bce284f251f02104d697c726cb538b8e125f90a292f"
     "82b569c736fb2a2e03704f25942da8b44210fa2fe34391046c91550c4d1a9548f60719"
     "47f50cfadcb872ae",
     /* dialer */
     "00b814e0dda8a82229f691a10b7678745eb95f1610ce16de8d846ba3e2ae1eb9382046"
     "49b404bd4d06b4381577107a20abb84fb862f52b76bbcdb577d08403cb1dfc7f22b97c"
     "640f325190717cdf907b1545ef96d2201a97889c75393c3fbe0b549ee46c09280335c3"
     "eeb928db5346046d23c9800c92ade3a4abf26b98918e070962650e8f7d24a16ceff2e9"
     "e8dd689082971ff3c9186ebc9b1a8f7584bd3aa5f7f24a63256b1ca18c41d3ffa8bd85"
     "5ce189fd95a197a66e4893002271e42d23a432e969ce739ed558824c2d28db6172f228"
     "9487f2bcee9b69327c93586e",
     /* listener */
     "0024975111c8b3598a66a4c36761b4483d62ae9dafec6d0df321e3841957064e2712da"
     "d3e333"
     },
    },
    {
     "one of two muxers",
     "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5",
     "12D3KooWPT98FXMfDQYavZm66EeVjTqP9Nnehn1gyaydqV8L8BQw",
     "/a /yamux/1.0.0",
     "/yamux/1.0.0 /b",
     "/yamux/1.0.0",
     {
     /* dialer */
     "00205dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef22",
     /* listener */
     "00dcf5b2d6e60f9477e310c2982daaa6c9136c108a1777c5947e448fa37d68174557c7"
     "d1fd99f1d533d3362ae2b80ffcd8c2b3e95ca446394c3218005c23f3be2286cba54de6"
     "eb2c0484c2bc34694e3b91a0f14ba050bb6b3b4fd9e723ec591641db8be10e58fabac3"
     "8532554a898308b70fa89f41f5f93275158f779db1f16415f3d26805d1f3240953f1f0"
     "f859d5418d365d78e1b7e0e7210bce284f251f02104d697c726cb538b8e125f90a292f"
     "82b569c736fb2a2e03704f25882da8b44210fa2fe34391046c915534a85c152c2ffcde"
     "ecfff4b149a46f75c8085ebb",
     /* dialer */
     "00bc14e0dda8a82229f691a10b7678745eb95f1610ce16de8d846ba3e2ae1eb9382011"
     "fb247bc7a9d8d18e0dba618061e78f4fb862f52b76bbcdb577d08403cb1dfc7f22b97c"
     "640f325190717cdf907b1545ef96d2201a97889c75393c3fbe0b549ee46c09280335c3"
     "eeb928db5346046d23c9800c92ade3a4abf26b98918e070962650e8f7d24a16ceff2e9"
     "e8dd689082971ff3c9186ebc9b1a8f6984b33abd849310626b3747e98d40e7217b4ee5"
     "cbc4974ae8a71a5c2d635b361ad5d9002271e42d23a432e969ce739ed558824c2d28db"
     "6172f2289487f2bcee9b69327c93586e",
     /* listener */
     "0024975111c8b3598a66a4c36761b4483d62ae9dafec6d0df321e3841957064e2712da"
     "d3e333"
     },
    },
};
/* clang-format on */
