import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.Utils;

/** Prints murmur2.tsv: each key with its murmur2 and its partition of 64 and of 6, as Kafka's Java clients choose it. */
public class Murmur2Vectors {
    public static void main(String[] args) {
        String[] keys = {
            "", "a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh", "foobar", "21", "a-little-bit-long-string",
            "a-little-bit-longer-string", "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            "acme/user:42", "acme/user:43", "acme/anonymous:3f6c1f0e-7a61-4a0e-9d2f-6f1a2f3b4c5d",
            "acme/phone:0f1e2d3c4b5a69788796a5b4c3d2e1f0", "acme/email:ffeeddccbbaa99887766554433221100", "acme/revision@7",
            "магазин/user:покупатель", "店/user:顾客", "acme/user:\uD83D\uDED2", "acme/user:\u00ff\u00fe\u0080"
        };
        System.out.println("# key, murmur2 (signed), partition of 64, partition of 6: tab-separated. Made by Murmur2Vectors.java with kafka-clients 4.1.0.");
        for (String key : keys) {
            byte[] bytes = key.getBytes(StandardCharsets.UTF_8);
            System.out.println(key + "\t" + Utils.murmur2(bytes) + "\t" + BuiltInPartitioner.partitionForKey(bytes, 64)
                + "\t" + BuiltInPartitioner.partitionForKey(bytes, 6));
        }
    }
}
