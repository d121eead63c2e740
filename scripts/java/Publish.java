import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.PulsarClient;

/**
 * Publishes what only the Java client can: a message without value, one in chunks, one whose key is bytes.
 *
 * <p>Argument: service URL. Each line of the input is {@code tombstone}, {@code chunks} or {@code bytes-key}, and a topic; the
 * answer is {@code done} when the message is stored.
 */
public final class Publish {
    public static void main(String[] args) throws Exception {
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (PulsarClient client = PulsarClient.builder().serviceUrl(args[0]).build()) {
            for (String order; (order = orders.readLine()) != null; ) {
                String[] words = order.split(" ", 2);
                publish(client, words[0], words[1]);
                System.out.println("done");
            }
        }
    }

    private static void publish(PulsarClient client, String what, String topic) throws Exception {
        switch (what) {
            case "tombstone" -> {
                try (Producer<byte[]> producer = client.newProducer().topic(topic).create()) {
                    producer.newMessage().key("k").value(null).send();
                }
            }
            case "chunks" -> {
                try (Producer<byte[]> producer = client.newProducer().topic(topic).enableBatching(false)
                        .enableChunking(true).chunkMaxMessageSize(64).create()) {
                    producer.send("0123456789".repeat(20).getBytes(StandardCharsets.UTF_8));
                }
            }
            case "bytes-key" -> {
                try (Producer<byte[]> producer = client.newProducer().topic(topic).create()) {
                    producer.newMessage().keyBytes(new byte[] {0, -1}).value(new byte[] {'a'}).send();
                }
            }
            default -> throw new IllegalArgumentException(what);
        }
    }
}
