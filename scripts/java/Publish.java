import java.nio.charset.StandardCharsets;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.PulsarClient;

/**
 * Publishes what only the Java client can: a message without value, one in chunks, one whose key is bytes.
 *
 * <p>Arguments: service URL, {@code tombstone}, {@code chunks} or {@code bytes-key}, topic.
 */
public final class Publish {
    public static void main(String[] args) throws Exception {
        try (PulsarClient client = PulsarClient.builder().serviceUrl(args[0]).build()) {
            switch (args[1]) {
                case "tombstone" -> {
                    try (Producer<byte[]> producer = client.newProducer().topic(args[2]).create()) {
                        producer.newMessage().key("k").value(null).send();
                    }
                }
                case "chunks" -> {
                    try (Producer<byte[]> producer = client.newProducer().topic(args[2]).enableBatching(false)
                            .enableChunking(true).chunkMaxMessageSize(64).create()) {
                        producer.send("0123456789".repeat(20).getBytes(StandardCharsets.UTF_8));
                    }
                }
                case "bytes-key" -> {
                    try (Producer<byte[]> producer = client.newProducer().topic(args[2]).create()) {
                        producer.newMessage().keyBytes(new byte[] {0, -1}).value(new byte[] {'a'}).send();
                    }
                }
                default -> throw new IllegalArgumentException(args[1]);
            }
        }
    }
}
