import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import org.apache.bookkeeper.conf.ServerConfiguration;
import org.apache.bookkeeper.server.Main;
import org.apache.pulsar.PulsarClusterMetadataSetup;
import org.apache.zookeeper.server.ServerConfig;
import org.apache.zookeeper.server.ZooKeeperServerMain;
import org.apache.zookeeper.server.quorum.QuorumPeerConfig;

/**
 * What the brokers of a cluster share, in one process: ZooKeeper, with the cluster's metadata, and a bookie.
 *
 * <p>Arguments: ZooKeeper's configuration, its port, the bookie's configuration, the cluster's name and URL, and a
 * file that is made when all of it is there.
 */
public final class ClusterStorage {
    public static void main(String[] args) throws Exception {
        QuorumPeerConfig parsed = new QuorumPeerConfig();
        parsed.parse(args[0]);
        ServerConfig zooKeeper = new ServerConfig();
        zooKeeper.readFrom(parsed);
        Thread thread = new Thread(() -> {
            try {
                new ZooKeeperServerMain().runFromConfig(zooKeeper);
            } catch (Exception error) {
                error.printStackTrace();
                System.exit(1);
            }
        }, "zookeeper");
        thread.start();
        String store = "zk:127.0.0.1:" + args[1];
        PulsarClusterMetadataSetup.main(new String[] {
            "--cluster", args[3], "--metadata-store", store, "--configuration-metadata-store", store,
            "--web-service-url", args[4], "--initial-num-stream-storage-containers", "0",
            "--initial-num-transaction-coordinators", "1", "--default-namespace-bundle-number", "4",
        });
        ServerConfiguration bookie = new ServerConfiguration();
        bookie.loadConf(Path.of(args[2]).toUri().toURL());
        Main.buildBookieServer(new org.apache.bookkeeper.server.conf.BookieConfiguration(bookie)).start();
        Files.createFile(Path.of(args[5]));
        new CountDownLatch(1).await();
    }
}
