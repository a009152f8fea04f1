%% echo: one process per connection on gen_tcp, packet mode raw, 4 or line.
%%
%% erl -noshell -s echo main MODE
%%
%% What has arrived leaves as one send where the mode allows it. Under packet 4
%% each send is one packet, and a passive loop costs less than messages do.
-module(echo).
-export([main/1]).

-define(WINDOW, 100).

main([Mode]) ->
    {ok, Listener} = gen_tcp:listen(0, [
        binary, {ip, {127, 0, 0, 1}}, {packet, packet(Mode)},
        {active, false}, {nodelay, true}, {backlog, 4096},
        {packet_size, 65536}]),
    {ok, Port} = inet:port(Listener),
    io:format("port ~p~n", [Port]),
    accept(Listener, Mode).

packet(raw) -> raw;
packet('4') -> 4;
packet(line) -> line.

accept(Listener, Mode) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Pid = spawn(fun() -> receive go -> start(Mode, Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    accept(Listener, Mode).

start('4', Socket) ->
    passive(Socket);
start(_, Socket) ->
    inet:setopts(Socket, [{active, ?WINDOW}]),
    active(Socket).

passive(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Data} ->
            send(Socket, Data),
            passive(Socket);
        {error, _} ->
            gen_tcp:close(Socket)
    end.

active(Socket) ->
    receive
        {tcp, Socket, Data} ->
            send(Socket, gather(Socket, Data)),
            active(Socket);
        {tcp_passive, Socket} ->
            inet:setopts(Socket, [{active, ?WINDOW}]),
            active(Socket);
        {tcp_closed, Socket} ->
            gen_tcp:close(Socket);
        {tcp_error, Socket, _} ->
            gen_tcp:close(Socket)
    end.

gather(Socket, Out) ->
    receive
        {tcp, Socket, Data} -> gather(Socket, [Out, Data])
    after 0 ->
        Out
    end.

send(Socket, Data) ->
    case gen_tcp:send(Socket, Data) of
        ok -> ok;
        {error, _} -> exit(normal)
    end.
