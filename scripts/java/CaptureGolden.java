import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.pulsar.client.api.BatcherBuilder;
import org.apache.pulsar.client.api.CompressionType;
import org.apache.pulsar.client.api.Consumer;
import org.apache.pulsar.client.api.ConsumerBuilder;
import org.apache.pulsar.client.api.CryptoKeyReader;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.MessageId;
import org.apache.pulsar.client.api.MessageRoutingMode;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.ProducerBuilder;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.PulsarClientException;
import org.apache.pulsar.client.api.Reader;
import org.apache.pulsar.client.api.SubscriptionInitialPosition;
import org.apache.pulsar.client.api.SubscriptionMode;
import org.apache.pulsar.client.api.SubscriptionType;
import org.apache.pulsar.client.impl.ClientBuilderImpl;
import org.apache.pulsar.client.impl.DefaultCryptoKeyReader;

/**
 * Makes the Java client of Pulsar say, step by step, everything that the WebSocket service makes it say.
 *
 * <p>A recording proxy stands between this program and the broker. Each step is announced on standard output and begins
 * when a line comes back on standard input, so that the recorder knows which frames belong to it. The client is
 * configured as {@code org.apache.pulsar.websocket.WebSocketService} and its handlers configure theirs, with a clock
 * that stands still so that captures repeat.
 */
public final class CaptureGolden {
    private static final Clock CLOCK = Clock.fixed(Instant.parse("2026-01-02T03:04:05.678Z"), ZoneOffset.UTC);
    private static final String TOPIC = "persistent://public/default/golden";
    /** Acks leave after 100 ms at the latest; a step waits longer than that before it ends. */
    private static final long QUIET_MS = 250;

    private final BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    private final PulsarClient client;
    private final String serviceUrl;
    private final String adminUrl;

    private CaptureGolden(String serviceUrl, String adminUrl) throws PulsarClientException {
        this.serviceUrl = serviceUrl;
        this.adminUrl = adminUrl;
        this.client = client(30);
    }

    /** Arguments: service URL (of the recording proxy), admin URL (of the broker), scenario, public key in PEM. */
    public static void main(String[] args) throws Exception {
        CaptureGolden capture = new CaptureGolden(args[0], args[1]);
        switch (args[2]) {
            case "api" -> {
                capture.producers();
                capture.consumers();
                capture.batches();
                capture.readers();
                capture.endOfTopic();
                capture.keepAlive();
                capture.sentBatches();
            }
            case "entry-metadata" -> capture.entryMetadata();
            case "encrypted" -> capture.encrypted(Path.of(args[3]));
            default -> throw new IllegalArgumentException(args[2]);
        }
        capture.client.close();
        System.exit(0);
    }

    private PulsarClient client(int keepAliveSeconds) throws PulsarClientException {
        ClientBuilderImpl builder = (ClientBuilderImpl) PulsarClient.builder();
        builder.originalPrincipal("__websocket_dummy_original_principle");
        return builder.serviceUrl(serviceUrl)
                .memoryLimit(0, org.apache.pulsar.client.api.SizeUnit.BYTES)
                .statsInterval(0, TimeUnit.SECONDS)
                .enableTlsHostnameVerification(false)
                .ioThreads(1)
                .connectionsPerBroker(1)
                .connectionMaxIdleSeconds(-1)
                .keepAliveInterval(keepAliveSeconds, TimeUnit.SECONDS)
                .clock(CLOCK)
                .build();
    }

    /** As ProducerHandler does. */
    private ProducerBuilder<byte[]> producer(String topic) {
        return client.newProducer()
                .topic(topic)
                .enableBatching(false)
                .messageRoutingMode(MessageRoutingMode.SinglePartition)
                .blockIfQueueFull(false);
    }

    /** As ConsumerHandler does; the name, random by default, is given so that captures repeat. */
    private ConsumerBuilder<byte[]> consumer(String topic, String subscription) {
        return client.newConsumer().topic(topic).subscriptionName(subscription).consumerName("me")
                .subscriptionInitialPosition(SubscriptionInitialPosition.Earliest);
    }

    private void producers() throws Exception {
        Producer<byte[]> plain = step("producer-open", () -> producer(TOPIC).create());
        step("send-plain", () -> plain.newMessage().value(bytes("Hello World")).send());
        step("send-properties", () -> plain.newMessage().value(bytes("a"))
                .property("key1", "value1").property("schlüssel", "wért").property("empty", "").send());
        step("send-key", () -> plain.newMessage().value(bytes("b")).key("k1").send());
        step("send-key-empty", () -> plain.newMessage().value(bytes("c")).key("").send());
        step("send-key-bytes", () -> plain.newMessage().value(bytes("d")).keyBytes(new byte[] {0, 1, (byte) 255}).send());
        step("send-event-time", () -> plain.newMessage().value(bytes("e")).eventTime(1_609_549_445_678L).send());
        step("send-event-time-negative", () -> plain.newMessage().value(bytes("e")).eventTime(-1L).send());
        step("send-deliver-at", () -> plain.newMessage().value(bytes("f")).deliverAt(1_700_000_000_000L).send());
        step("send-clusters", () -> plain.newMessage().value(bytes("g"))
                .replicationClusters(List.of("standalone", "other")).send());
        step("send-clusters-none", () -> plain.newMessage().value(bytes("h")).replicationClusters(List.of()).send());
        step("send-everything", () -> plain.newMessage().value(bytes("i")).key("k").property("p", "q").eventTime(7L)
                .deliverAt(1_700_000_000_001L).replicationClusters(List.of("standalone")).send());
        step("send-empty", () -> plain.newMessage().value(new byte[0]).send());
        step("send-tombstone", () -> plain.newMessage().key("k").value(null).send());
        step("send-ordering-key", () -> plain.newMessage().value(bytes("j")).orderingKey(bytes("o")).send());
        step("send-pipelined", () -> {
            List<CompletableFuture<MessageId>> sent = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                sent.add(plain.newMessage().value(bytes("p" + i)).sendAsync());
            }
            return CompletableFuture.allOf(sent.toArray(CompletableFuture[]::new)).get();
        });
        step("producer-close", () -> run(plain::close));

        Producer<byte[]> named = step("producer-open-named", () -> producer(TOPIC).producerName("golden")
                .initialSequenceId(41).create());
        step("send-named", () -> named.newMessage().value(bytes("n")).send());
        step("producer-busy", () -> refused(() -> producer(TOPIC).producerName("golden").create()));
        step("producer-close-named", () -> run(named::close));
    }

    private void consumers() throws Exception {
        String topic = TOPIC + "-consume";
        Producer<byte[]> producer = step("aside-fill", () -> {
            Producer<byte[]> made = producer(topic).producerName("filler").create();
            for (int i = 0; i < 6; i++) {
                made.newMessage().value(bytes("m" + i)).property("i", String.valueOf(i)).key("k" + i % 2).send();
            }
            return made;
        });

        Consumer<byte[]> exclusive = step("subscribe-exclusive", () -> consumer(topic, "exclusive").subscribe());
        List<Message<byte[]>> got = receive(exclusive, 6);
        step("ack-one", () -> run(() -> exclusive.acknowledge(got.get(0))));
        step("ack-grouped", () -> {
            for (Message<byte[]> message : got.subList(1, 4)) {
                exclusive.acknowledgeAsync(message);
            }
            return null;
        });
        step("ack-cumulative", () -> run(() -> exclusive.acknowledgeCumulative(got.get(4))));
        step("subscribe-busy", () -> refused(() -> consumer(topic, "exclusive").subscribe()));
        step("consumer-close", () -> run(exclusive::close));

        Consumer<byte[]> nothing = step("subscribe-latest", () -> consumer(topic, "latest")
                .subscriptionInitialPosition(SubscriptionInitialPosition.Latest).receiverQueueSize(2).subscribe());
        step("aside-produce", () -> {
            for (int i = 0; i < 6; i++) {
                producer.newMessage().value(bytes("l" + i)).send();
            }
            return null;
        });
        step("receive-flow", () -> receive(nothing, 6));
        step("unsubscribe", () -> run(nothing::unsubscribe));

        Consumer<byte[]> shared = step("subscribe-shared", () -> consumer(topic, "shared")
                .subscriptionType(SubscriptionType.Shared).priorityLevel(3)
                .negativeAckRedeliveryDelay(100, TimeUnit.MILLISECONDS).subscribe());
        List<Message<byte[]>> held = receive(shared, 12);
        step("nack", () -> {
            shared.negativeAcknowledge(held.get(0));
            shared.negativeAcknowledge(held.get(2));
            return receive(shared, 2);
        });
        step("redeliver-all", () -> {
            shared.redeliverUnacknowledgedMessages();
            return receive(shared, 12);
        });
        step("consumer-close-shared", () -> run(shared::close));

        Consumer<byte[]> timing = step("subscribe-ack-timeout", () -> consumer(topic, "timeout")
                .subscriptionType(SubscriptionType.Shared).ackTimeout(1000, TimeUnit.MILLISECONDS).subscribe());
        step("ack-timeout", () -> {
            receive(timing, 12);
            return receive(timing, 12);
        });
        step("consumer-close-timeout", () -> run(timing::close));

        Consumer<byte[]> failover = step("subscribe-failover", () -> consumer(topic, "failover")
                .subscriptionType(SubscriptionType.Failover).receiverQueueSize(1).subscribe());
        step("consumer-close-failover", () -> run(failover::close));
        Consumer<byte[]> keyed = step("subscribe-key-shared", () -> consumer(topic, "key-shared")
                .subscriptionType(SubscriptionType.Key_Shared).receiverQueueSize(1).subscribe());
        step("consumer-close-key-shared", () -> run(keyed::close));
        Consumer<byte[]> passing = step("subscribe-non-durable", () -> consumer(topic, "non-durable")
                .subscriptionMode(SubscriptionMode.NonDurable).receiverQueueSize(1).subscribe());
        step("consumer-close-non-durable", () -> run(passing::close));
        step("aside-close", () -> run(producer::close));
    }

    private void batches() throws Exception {
        for (CompressionType compression : CompressionType.values()) {
            String name = compression.name().toLowerCase();
            String topic = TOPIC + "-" + name;
            Consumer<byte[]> consumer = step("aside-subscribe", () -> consumer(topic, "s").subscribe());
            Producer<byte[]> single = step("aside-producer", () -> producer(topic).producerName("single-" + name)
                    .compressionType(compression).create());
            step("compressed-" + name, () -> {
                single.newMessage().value(bytes("compress me ".repeat(12))).property("a", "b").send();
                return receive(consumer, 1);
            });
            Producer<byte[]> batching = step("aside-producer", () -> batching(topic, "batch-" + name, compression));
            step("batch-" + name, () -> {
                batching.newMessage().value(bytes("one")).key("k1").property("a", "1").sendAsync();
                batching.newMessage().value(bytes("two ".repeat(20))).eventTime(7L).sendAsync();
                batching.newMessage().key("k3").value(null).sendAsync();
                batching.flush();
                return receive(consumer, 3);
            });
            step("aside-close", () -> {
                single.close();
                batching.close();
                return run(consumer::close);
            });
        }
        batchAcks();
        chunks();
    }

    private void encrypted(Path key) throws Exception {
        CryptoKeyReader reader = DefaultCryptoKeyReader.builder().publicKey("key", key.toUri().toString()).build();
        for (CompressionType compression : List.of(CompressionType.NONE, CompressionType.LZ4)) {
            String name = compression.name().toLowerCase();
            String topic = TOPIC + "-encrypted-" + name;
            Producer<byte[]> single = step("aside-producer", () -> producer(topic).producerName("sealed-" + name)
                    .compressionType(compression).cryptoKeyReader(reader).addEncryptionKey("key").create());
            step("encrypted-" + name, () -> single.newMessage().value(bytes("secret ".repeat(20))).key("k")
                    .property("a", "b").eventTime(7L).send());
            Producer<byte[]> batching = step("aside-producer", () -> producer(topic).producerName("batched-" + name)
                    .compressionType(compression).enableBatching(true).batchingMaxPublishDelay(1, TimeUnit.HOURS)
                    .cryptoKeyReader(reader).addEncryptionKey("key").create());
            step("encrypted-batch-" + name, () -> {
                batching.newMessage().value(bytes("one")).key("k").sendAsync();
                batching.newMessage().value(bytes("two ".repeat(20))).sendAsync();
                return run(batching::flush);
            });
            step("aside-close", () -> {
                single.close();
                return run(batching::close);
            });
        }
    }

    private Producer<byte[]> batching(String topic, String name, CompressionType compression) throws Exception {
        return producer(topic).producerName(name).compressionType(compression).enableBatching(true)
                .batchingMaxPublishDelay(1, TimeUnit.HOURS).batcherBuilder(BatcherBuilder.DEFAULT).create();
    }

    /** What a batching producer of the service sends; the service knows no tombstones. */
    private void sentBatches() throws Exception {
        String topic = TOPIC + "-sent-batches";
        for (CompressionType compression : CompressionType.values()) {
            String name = compression.name().toLowerCase();
            Producer<byte[]> producer = step("aside-producer", () -> batching(topic, "sends-" + name, compression));
            step("send-batch-" + name, () -> {
                producer.newMessage().value(bytes("one ".repeat(10))).key("k1").property("a", "1").property("b", "")
                        .replicationClusters(List.of("standalone", "other")).sendAsync();
                producer.newMessage().value(bytes("two ".repeat(20))).eventTime(7L).sendAsync();
                producer.newMessage().value(bytes("")).key("").eventTime(-1L).sendAsync();
                producer.newMessage().value(bytes("four")).property("ü", "é").sendAsync();
                return run(producer::flush);
            });
            step("send-batch-of-one-" + name, () -> {
                producer.newMessage().value(bytes("one ".repeat(10))).key("k1").property("a", "1").eventTime(7L)
                        .replicationClusters(List.of("standalone")).sendAsync();
                return run(producer::flush);
            });
            step("send-batch-bare-" + name, () -> {
                producer.newMessage().value(bytes("a")).sendAsync();
                producer.newMessage().value(bytes("b")).sendAsync();
                return run(producer::flush);
            });
            step("aside-close", () -> run(producer::close));
        }
    }

    private void batchAcks() throws Exception {
        String topic = TOPIC + "-acks";
        Producer<byte[]> producer = step("aside-producer", () -> batching(topic, "acks", CompressionType.NONE));
        Consumer<byte[]> whole = step("aside-subscribe", () -> consumer(topic, "whole").subscribe());
        Consumer<byte[]> byIndex = step("aside-subscribe", () -> consumer(topic, "by-index")
                .enableBatchIndexAcknowledgment(true).subscribe());
        step("aside-produce", () -> {
            for (int i = 0; i < 3; i++) {
                producer.newMessage().value(bytes("m" + i)).sendAsync();
            }
            producer.flush();
            return null;
        });
        List<Message<byte[]>> three = receive(whole, 3);
        step("ack-batch-partly", () -> run(() -> whole.acknowledge(three.get(1))));
        step("ack-batch-rest", () -> {
            whole.acknowledge(three.get(0));
            return run(() -> whole.acknowledge(three.get(2)));
        });
        List<Message<byte[]>> again = receive(byIndex, 3);
        step("ack-batch-index", () -> run(() -> byIndex.acknowledge(again.get(1))));
        step("aside-close", () -> run(byIndex::close));
        Consumer<byte[]> back = step("subscribe-ack-set", () -> {
            Consumer<byte[]> made = consumer(topic, "by-index").enableBatchIndexAcknowledgment(true).subscribe();
            receive(made, 2);
            return made;
        });
        step("aside-close", () -> {
            whole.close();
            back.close();
            return run(producer::close);
        });
    }

    private void chunks() throws Exception {
        String topic = TOPIC + "-chunks";
        Consumer<byte[]> consumer = step("aside-subscribe", () -> consumer(topic, "s").subscribe());
        Producer<byte[]> producer = step("aside-producer", () -> producer(topic).producerName("chunks")
                .enableChunking(true).chunkMaxMessageSize(64).create());
        step("chunked", () -> {
            producer.newMessage().value(bytes("0123456789".repeat(10))).send();
            return receive(consumer, 1);
        });
        step("aside-close", () -> {
            producer.close();
            return run(consumer::close);
        });
    }

    private void readers() throws Exception {
        String topic = TOPIC + "-read";
        List<MessageId> ids = new ArrayList<>();
        Producer<byte[]> single = step("aside-producer", () -> producer(topic).producerName("reads").create());
        Producer<byte[]> batching = step("aside-producer", () -> batching(topic, "batch-reads", CompressionType.NONE));
        step("aside-fill", () -> {
            for (int i = 0; i < 3; i++) {
                ids.add(single.newMessage().value(bytes("s" + i)).send());
            }
            List<CompletableFuture<MessageId>> sent = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                sent.add(batching.newMessage().value(bytes("b" + i)).sendAsync());
            }
            batching.flush();
            for (CompletableFuture<MessageId> one : sent) {
                ids.add(one.get());
            }
            return null;
        });
        reader("reader-earliest", topic, MessageId.earliest, 6);
        reader("reader-latest", topic, MessageId.latest, 0);
        reader("reader-id", topic, ids.get(1), 4);
        reader("reader-id-in-batch", topic, ids.get(4), 1);
        step("aside-close", () -> {
            single.close();
            return run(batching::close);
        });
    }

    private void reader(String name, String topic, MessageId start, int expected) throws Exception {
        Reader<byte[]> reader = step(name, () -> {
            Reader<byte[]> made = client.newReader().topic(topic).startMessageId(start).subscriptionName(name)
                    .readerName("me").create();
            for (int i = 0; i < expected; i++) {
                made.readNext(10, TimeUnit.SECONDS);
            }
            return made;
        });
        step(name + "-has-more", reader::hasMessageAvailable);
        step(name + "-close", () -> run(reader::close));
    }

    private void endOfTopic() throws Exception {
        String topic = TOPIC + "-ends";
        Producer<byte[]> producer = step("aside-producer", () -> producer(topic).producerName("ends").create());
        Consumer<byte[]> consumer = step("aside-subscribe", () -> consumer(topic, "s").subscribe());
        step("aside-produce", () -> producer.newMessage().value(bytes("last")).send());
        Message<byte[]> last = receive(consumer, 1).get(0);
        step("terminate", () -> {
            admin("persistent/public/default/golden-ends/terminate");
            return run(() -> consumer.acknowledge(last));
        });
        step("send-terminated", () -> refused(() -> producer.newMessage().value(bytes("x")).send()));
        step("producer-open-terminated", () -> refused(() -> producer(topic).producerName("late").create()));
        step("aside-close", () -> {
            producer.close();
            return run(consumer::close);
        });
        step("topic-not-found", () -> refused(() -> producer("persistent://public/absent/t").create()));
    }

    /** A client that pings every second, until both sides have pinged. */
    private void keepAlive() throws Exception {
        PulsarClient pinging = client(1);
        Producer<byte[]> producer = step("aside-producer", () -> pinging.newProducer().topic(TOPIC + "-pings")
                .producerName("pings").create());
        step("keep-alive", () -> run(() -> Thread.sleep(4000)));
        step("aside-close", () -> {
            producer.close();
            return run(pinging::close);
        });
    }

    /** For a broker that stamps its entries and shows the stamp to clients. */
    private void entryMetadata() throws Exception {
        String topic = TOPIC + "-stamped";
        Consumer<byte[]> consumer = step("aside-subscribe", () -> consumer(topic, "s").subscribe());
        Producer<byte[]> producer = step("aside-producer", () -> producer(topic).producerName("stamps").create());
        step("entry-metadata", () -> {
            producer.newMessage().value(bytes("stamped")).send();
            return receive(consumer, 1);
        });
        step("aside-close", () -> {
            producer.close();
            return run(consumer::close);
        });
    }

    private <T> T step(String name, Callable<T> body) throws Exception {
        System.out.println("STEP " + name);
        input.readLine();
        T result = body.call();
        Thread.sleep(QUIET_MS);
        return result;
    }

    private List<Message<byte[]>> receive(Consumer<byte[]> consumer, int count) throws Exception {
        List<Message<byte[]>> received = new ArrayList<>();
        while (received.size() < count) {
            Message<byte[]> message = consumer.receive(20, TimeUnit.SECONDS);
            if (message == null) {
                throw new IllegalStateException("received only " + received.size() + " of " + count);
            }
            received.add(message);
        }
        return received;
    }

    private void admin(String path) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(adminUrl + "/admin/v2/" + path))
                .POST(HttpRequest.BodyPublishers.noBody()).build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() >= 300) {
            throw new IOException(path + ": " + answer.statusCode() + " " + answer.body());
        }
    }

    private static Void refused(Callable<?> body) throws Exception {
        try {
            body.call();
        } catch (PulsarClientException expected) {
            return null;
        }
        throw new IllegalStateException("was to be refused");
    }

    private interface Action {
        void run() throws Exception;
    }

    private static Void run(Action action) throws Exception {
        action.run();
        return null;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
