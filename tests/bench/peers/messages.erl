%% messages: round trips between two processes of one node.
%%
%% erl -noshell -s messages main within|across
%%
%% A client says "send N\n" or "call N\n" and is answered with the seconds
%% that N round trips took. Across, each process keeps to a scheduler of its
%% own, for which the node wants +S 2.
-module(messages).
-behaviour(gen_server).
-export([main/1, init/1, handle_call/3, handle_cast/2]).

-define(PATIENCE, 5000).

main([Where]) ->
    {ok, Listener} = gen_tcp:listen(0, [
        binary, {ip, {127, 0, 0, 1}}, {packet, line}, {active, false},
        {nodelay, true}]),
    {ok, Port} = inet:port(Listener),
    Echo = spawn_opt(fun echo/0, place(Where)),
    Server = proc_lib:spawn_opt(fun() ->
        gen_server:enter_loop(?MODULE, [], none)
    end, place(Where)),
    io:format("port ~p~n", [Port]),
    accept(Listener, Echo, Server).

%% The asker runs on the first scheduler.
place(within) -> [];
place(across) -> [{scheduler, 2}].

accept(Listener, Echo, Server) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Asker = spawn_opt(fun() ->
        receive go -> serve(Socket, Echo, Server) end
    end, [{scheduler, 1}]),
    ok = gen_tcp:controlling_process(Socket, Asker),
    Asker ! go,
    accept(Listener, Echo, Server).

serve(Socket, Echo, Server) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Line} ->
            [Style, Count] = string:lexemes(Line, " \n"),
            Before = erlang:monotonic_time(),
            run(Style, binary_to_integer(Count), Echo, Server),
            Taken = erlang:monotonic_time() - Before,
            Seconds = Taken / erlang:convert_time_unit(1, second, native),
            ok = gen_tcp:send(Socket, io_lib:format("~.9f~n", [Seconds])),
            serve(Socket, Echo, Server);
        {error, closed} ->
            gen_tcp:close(Socket)
    end.

run(<<"send">>, N, Echo, _) -> trips(N, Echo);
run(<<"call">>, N, _, Server) -> calls(N, Server).

trips(0, _) ->
    ok;
trips(N, Echo) ->
    Echo ! {self(), N},
    receive {Echo, N} -> trips(N - 1, Echo) after ?PATIENCE -> exit(lost) end.

calls(0, _) ->
    ok;
calls(N, Server) ->
    N = gen_server:call(Server, N, ?PATIENCE),
    calls(N - 1, Server).

echo() ->
    receive
        {From, Message} ->
            From ! {self(), Message},
            echo()
    end.

init(State) -> {ok, State}.

handle_call(Message, _From, State) -> {reply, Message, State}.

handle_cast(_, State) -> {noreply, State}.
