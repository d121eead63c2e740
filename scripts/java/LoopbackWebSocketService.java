import java.lang.reflect.Field;
import org.apache.pulsar.common.configuration.PulsarConfigurationLoader;
import org.apache.pulsar.websocket.WebSocketService;
import org.apache.pulsar.websocket.service.ProxyServer;
import org.apache.pulsar.websocket.service.WebSocketProxyConfiguration;
import org.apache.pulsar.websocket.service.WebSocketServiceStarter;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/**
 * Starts Pulsar's own WebSocket service, the reference that we are compared with, on the loopback address alone.
 *
 * <p>The service has no setting for that (it ignores {@code bindAddress}), and a test must not open a port to the
 * network. Argument: its configuration file.
 */
public final class LoopbackWebSocketService {
    public static void main(String[] args) throws Exception {
        WebSocketProxyConfiguration config =
                PulsarConfigurationLoader.create(args[0], WebSocketProxyConfiguration.class);
        ProxyServer proxy = new ProxyServer(config);
        Field field = ProxyServer.class.getDeclaredField("server");
        field.setAccessible(true);
        for (Connector connector : ((Server) field.get(proxy)).getConnectors()) {
            ((ServerConnector) connector).setHost("127.0.0.1");
        }
        WebSocketServiceStarter.start(proxy, new WebSocketService(config));
    }
}
