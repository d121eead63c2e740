import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.pulsar.client.api.CompressionType;
import org.apache.pulsar.client.api.Consumer;
import org.apache.pulsar.client.api.ConsumerBuilder;
import org.apache.pulsar.client.api.CryptoKeyReader;
import org.apache.pulsar.client.api.EncryptionKeyInfo;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.MessageId;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.ProducerBuilder;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.SubscriptionInitialPosition;
import org.apache.pulsar.client.api.SubscriptionType;
import org.apache.pulsar.client.api.TypedMessageBuilder;
import org.apache.pulsar.client.impl.MessageImpl;
import org.apache.pulsar.client.impl.TopicMessageImpl;
import org.apache.pulsar.common.api.proto.MessageMetadata;

/**
 * Pulsar's own client, driven line by line: a JSON order comes in on standard input, its JSON outcome goes out on
 * standard output behind the word OUTCOME. Ends when the input does.
 *
 * <p>Argument: service URL. Orders: {@code publish} (topic, messages, settings) and {@code consume} (topic,
 * subscription, count, acks, settings). What a setting means stands where it is read.
 */
public final class JavaPeer {
    private static final int PATIENCE_SECONDS = 20;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final PulsarClient client;

    private JavaPeer(PulsarClient client) {
        this.client = client;
    }

    public static void main(String[] args) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        try (PulsarClient client = PulsarClient.builder().serviceUrl(args[0]).build()) {
            JavaPeer peer = new JavaPeer(client);
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                System.out.println("OUTCOME " + JSON.writeValueAsString(peer.outcome(JSON.readTree(line))));
            }
        }
        System.exit(0);
    }

    private JsonNode outcome(JsonNode order) {
        try {
            return switch (order.get("do").asText()) {
                case "publish" -> publish(order);
                case "consume" -> consume(order);
                default -> throw new IllegalArgumentException(order.get("do").asText());
            };
        } catch (Exception failure) {
            return JSON.createObjectNode().put("failure", failure.toString());
        }
    }

    private ArrayNode publish(JsonNode order) throws Exception {
        JsonNode settings = order.get("settings");
        ProducerBuilder<byte[]> builder = client.newProducer().topic(order.get("topic").asText())
                .compressionType(CompressionType.valueOf(settings.path("compression").asText("NONE")))
                .enableBatching(false);
        if (settings.has("batch")) { // so many messages make one entry
            builder.enableBatching(true).batchingMaxMessages(settings.get("batch").asInt())
                    .batchingMaxPublishDelay(PATIENCE_SECONDS, TimeUnit.SECONDS);
        }
        if (settings.has("chunkBytes")) { // larger messages are cut
            builder.enableChunking(true).chunkMaxMessageSize(settings.get("chunkBytes").asInt());
        }
        if (settings.has("publicKey")) { // file to encrypt with, known as "key"
            builder.cryptoKeyReader(new Keys(settings)).addEncryptionKey("key");
        }
        try (Producer<byte[]> producer = builder.create()) {
            List<CompletableFuture<MessageId>> stored = new ArrayList<>();
            for (JsonNode message : order.get("messages")) {
                stored.add(message(producer, message).sendAsync());
            }
            producer.flush();
            ArrayNode ids = JSON.createArrayNode();
            for (CompletableFuture<MessageId> id : stored) {
                ids.add(text(id.get(PATIENCE_SECONDS, TimeUnit.SECONDS).toByteArray()));
            }
            return ids;
        }
    }

    private static TypedMessageBuilder<byte[]> message(Producer<byte[]> producer, JsonNode message) throws Exception {
        TypedMessageBuilder<byte[]> builder = producer.newMessage();
        builder.value(message.get("payload").isNull() ? null : message.get("payload").binaryValue());
        if (message.has("key")) {
            builder.key(message.get("key").asText());
        }
        if (message.has("keyBytes")) {
            builder.keyBytes(message.get("keyBytes").binaryValue());
        }
        if (message.has("orderingKey")) {
            builder.orderingKey(message.get("orderingKey").binaryValue());
        }
        for (Map.Entry<String, JsonNode> property : message.path("properties").properties()) {
            builder.property(property.getKey(), property.getValue().asText());
        }
        if (message.has("eventTime")) {
            builder.eventTime(message.get("eventTime").asLong());
        }
        if (message.has("deliverAfterMs")) {
            builder.deliverAfter(message.get("deliverAfterMs").asLong(), TimeUnit.MILLISECONDS);
        }
        return builder;
    }

    private ArrayNode consume(JsonNode order) throws Exception {
        JsonNode settings = order.get("settings");
        ConsumerBuilder<byte[]> builder = client.newConsumer().topic(order.get("topic").asText())
                .subscriptionName(order.get("subscription").asText())
                .subscriptionType(SubscriptionType.valueOf(settings.path("type").asText("Exclusive")))
                .subscriptionInitialPosition(SubscriptionInitialPosition.Earliest);
        if (settings.has("privateKey")) { // file to decrypt with
            builder.cryptoKeyReader(new Keys(settings));
        }
        try (Consumer<byte[]> consumer = builder.subscribe()) {
            ArrayNode messages = JSON.createArrayNode();
            for (int number = 0; number < order.get("count").asInt(); number++) {
                Message<byte[]> message = consumer.receive(PATIENCE_SECONDS, TimeUnit.SECONDS);
                if (message == null) {
                    throw new IllegalStateException("after " + number + " messages nothing came");
                }
                if (number < order.get("acks").asInt()) {
                    consumer.acknowledge(message);
                }
                messages.add(written(message));
            }
            return messages;
        }
    }

    private static ObjectNode written(Message<byte[]> message) {
        ObjectNode out = JSON.createObjectNode();
        out.put("payload", message.getValue() == null ? null : text(message.getValue()));
        out.put("key", message.getKey());
        out.put("isKeyBase64", message.hasBase64EncodedKey());
        out.put("orderingKey", message.hasOrderingKey() ? text(message.getOrderingKey()) : null);
        out.set("properties", JSON.valueToTree(message.getProperties()));
        out.put("eventTime", message.getEventTime());
        out.put("publishTime", message.getPublishTime());
        out.put("producerName", message.getProducerName());
        out.put("sequenceId", message.getSequenceId());
        out.put("id", text(message.getMessageId().toByteArray()));
        MessageMetadata metadata = metadata(message);
        out.put("compression", metadata.getCompression().name());
        out.put("batchSize", metadata.hasNumMessagesInBatch() ? metadata.getNumMessagesInBatch() : 0);
        out.put("encryptionKeys", metadata.getEncryptionKeysCount());
        return out;
    }

    private static MessageMetadata metadata(Message<byte[]> message) {
        Message<byte[]> inner = message instanceof TopicMessageImpl<byte[]> outer ? outer.getMessage() : message;
        return ((MessageImpl<byte[]>) inner).getMessageBuilder();
    }

    private static String text(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }

    /** Keys from PEM files, whatever name is asked for. */
    private record Keys(JsonNode settings) implements CryptoKeyReader {
        @Override
        public EncryptionKeyInfo getPublicKey(String name, Map<String, String> metadata) {
            return read("publicKey", metadata);
        }

        @Override
        public EncryptionKeyInfo getPrivateKey(String name, Map<String, String> metadata) {
            return read("privateKey", metadata);
        }

        private EncryptionKeyInfo read(String which, Map<String, String> metadata) {
            try {
                return new EncryptionKeyInfo(Files.readAllBytes(Path.of(settings.get(which).asText())), metadata);
            } catch (java.io.IOException failure) {
                throw new java.io.UncheckedIOException(failure);
            }
        }
    }
}
