import java.io.File;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;

/** Prints fingerprints.tsv: each schema's name and version with its CRC-64-AVRO, as Avro's Java library computes it. */
public class SchemaFingerprints {
    public static void main(String[] files) throws Exception {
        for (String file : files) {
            Schema schema = new Schema.Parser().parse(new File(file));
            String name = new File(file).getName().replace(".avsc", "");
            System.out.println(String.format("%s\t%016x", name, SchemaNormalization.parsingFingerprint64(schema)));
        }
    }
}
