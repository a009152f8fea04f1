-- What a container serves that has no config of its own: an echo.  All of it
-- runs as the image's user, so there is no `user` here.
return {
  control = "/run/linedancer/control.sock",
  listen = {
    { ":7000", handler = "echo" },
  },
}
