"""G.711 over RTP at 20 ms: tables, packets, timeline, sockets and the clock that paces them."""
