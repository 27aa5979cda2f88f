"""Work that is pulled: the queue of each app, the rooms that workers offer, and the lanes they come by.

Law: a request leaves its queue only into a room that waits for it, so nothing is ever parked behind a busy worker. The
rules (`entry`, `labels`, `queue`, `leases`) are pure: time comes in as an argument, and what is to be done goes out as
a return value. Who speaks HTTP here acts on them and decides nothing. Processes are nobody's business on this floor.
"""
