"""What a user of the server must be allowed for homing to work, and no more: rules for ACL SETUSER. No I/O.

Each command is named: a category grows with each release of a server. The rules work from Redis 6.2 on,
which knows no selectors, and inside scripts they hold as well.
"""

from homing.keys import check_prefix

#: What scripts of the worker and of administration call, and what the clients send beside them.
_SCRIPTS = """
    del exists expire get hdel hexists hget hgetall hincrby hlen hmget hscan hset llen lpop lpos
    lpush lrange lrem ltrim pexpire rename rpop rpush scan set time type unlink xack xadd xclaim xdel xgroup|create
    xgroup|delconsumer xinfo|consumers xinfo|groups xlen xpending xrange xreadgroup zadd zcard zrange
    zrangebyscore zrem zscore
"""
_CLIENTS = "asking blpop cluster|slots command|info eval evalsha info ping sadd select smembers wait"
#: What putting jobs in takes: nothing that takes one out, lists keys or reads a whole job.
_PRODUCER = """
    asking cluster|slots command|info eval evalsha exists expire hexists hget hincrby hlen hmget hset info
    llen lpush ping rename rpush sadd select time type wait xadd xlen zadd zcard zrange zrangebyscore zrem zscore
"""
#: The keys that putting jobs in touches, behind `prefix:{queue}`.
_PRODUCER_KEYS = (
    "", ":meta", ":lanes", ":lanes:old", ":scheduled", ":ids", ":replies", ":bell", ":index", ":job:*",
    ":stream:*", ":waiting:*", ":stats:*",
)  # fmt: skip


def rules(prefix: str = "homing", *, producer: bool = False, config: bool = False) -> list[str]:
    """The words behind `ACL SETUSER name on >password`.

    With `config` the user may also read the server's settings, its passwords among them.
    """
    check_prefix(prefix)
    if producer:
        keys = [f"~{prefix}:queues", *(f"~{prefix}:{{*}}{key}" for key in _PRODUCER_KEYS)]
        commands = _PRODUCER.split()
    else:
        keys, commands = [f"~{prefix}:*"], [*_SCRIPTS.split(), *_CLIENTS.split()]
    commands += ["config|get"] if config else []
    return [*keys, "resetchannels", "-@all", *(f"+{command}" for command in sorted(commands))]
