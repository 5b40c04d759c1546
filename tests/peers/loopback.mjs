// Loaded before servers that would listen on every interface: they listen on this machine's own address alone.
import net from "node:net";

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, { port: Number(port), host: "127.0.0.1" }, ...rest.filter((each) => typeof each === "function"));
};
